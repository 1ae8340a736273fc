"""The progress of a task, and whether it is within limits.

overview.py    the status of a task as one object
counts.py      results by flag and by reason, from one pass over the table
in_flight.py   workers, the spectra that they hold, and suspect spectra
limits.py      the status against limits, for a scheduler
text.py        the status as lines, for a person
"""
