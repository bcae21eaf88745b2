"""A plan, carried out: locked, prepared, executed, settled."""
