"""Measure chronomig side by side with stock Django, the bare SQL and django-fastmig, in one run."""
