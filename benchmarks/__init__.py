"""Measure chronomig side by side with stock Django, in one run."""
