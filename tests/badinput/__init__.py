"""Bad input for chronomig, drawn at random: every case has to end in a listed error, with nothing changed."""
