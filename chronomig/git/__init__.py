"""All that speaks git: plain data in, plain data out."""
