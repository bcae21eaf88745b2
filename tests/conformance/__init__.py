"""
Conformance: Django's own test suites, once on stock Django and once with chronomig's state engine in its place.

``python -m tests.conformance`` fetches the source of the Django that is installed, runs the suites twice, and compares
for each test how it ended and every statement that changed a schema. Only this harness patches Django.
"""
