"""What a branch adds, what is wrong with it, and files moved behind those of others."""
