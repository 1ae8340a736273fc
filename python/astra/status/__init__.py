"""The progress of a task, and whether it is within limits.

overview.py    the status of a task as one object: results, workers, suspect spectra, runs
text.py        the status as lines for a person, and against limits for a scheduler
why.py         why the spectra of one star are pending, stale, done or withheld
"""
