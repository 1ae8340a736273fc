"""How far a task is, and whether that is as it should be.

What is where:

    overview.py    one object with all counts of a task, and what follows from them
    counts.py      results by flag and by reason, from one pass over the table
    in_flight.py   who has what in hand, and what waits to be taken alone
    limits.py      results against limits, for a scheduler
    text.py        the same for a person, as lines
"""
