"""The schema: the tables as they are in the database, and who may use them.

upgrade.py       migrations: make and upgrade the tables, refuse others
upstream.py      views with upstream's names of tables and columns
packages.py      the same for other packages: their migrations, the tables of their tasks
trial_tables.py  the tables of trials, which are like those of production
roles.py         the rights of readers and writers on PostgreSQL
"""
