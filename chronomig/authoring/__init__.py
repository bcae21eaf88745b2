"""What writes migrations: detected, vendored, adopted, squashed, frozen."""
