"""A migration's name -> its code: where the bytes are, whether they are those that ran, what they make."""
