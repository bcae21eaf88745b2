"""typer: the commands, their options and their help. Django is imported when a command runs, not before."""
