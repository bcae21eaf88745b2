"""What runs inside a generated project, each in a process of its own."""
