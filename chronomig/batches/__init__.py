"""What runs as one on a database, where that is quicker than one by one."""
