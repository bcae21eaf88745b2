"""What a database should have, and the plan that takes it there: pure functions of plain values."""
