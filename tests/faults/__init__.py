"""``chronomig migrate``, killed at every point there is; what is left has to be told truly, and finished."""
