"""Faults put in the way of every kind of job, and what must come of each: see `python -m tests.faults --help`."""
