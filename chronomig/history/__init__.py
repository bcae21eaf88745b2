"""What a database records of its migrations: the table of events, and Django's own beside it."""
