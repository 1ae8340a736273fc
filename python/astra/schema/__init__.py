"""The schema: the tables as they are in the database, and who may use them.

upgrade.py       migrations: make and upgrade the tables, refuse others
live.py          migrations of tables that others use: short waits for locks, tried again
plan.py          what an upgrade would do, for an operator: changes, locks, times, rows
recording.py     the statements of a migration, without executing them
statements.py    what a statement locks, whom that keeps waiting, how long it takes
effects.py       which rows stay, become stale or pending
trial_tables.py  the tables of trials, which are like those of production
upstream.py      views with upstream's names of tables and columns
packages.py      the same for other packages: their migrations, the tables of their tasks
roles.py         the rights of readers and writers on PostgreSQL
"""
