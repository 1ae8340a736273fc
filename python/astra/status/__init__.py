"""The progress of a task, and whether it is within limits.

overview.py    the status of a task as one object: results, workers, suspect spectra, runs
places.py      spectra and results by release and telescope, and since when some are pending
nights.py      results, medians and throughput by night
text.py        the status as lines for a person
limits.py      the status, and nights, against limits for a scheduler
metrics.py     the status as metrics for Prometheus
star.py        all that the database knows of one star
why.py         why the spectra of one star are pending, stale, done or withheld
"""
