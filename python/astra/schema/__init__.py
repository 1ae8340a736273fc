"""The schema: the tables as they are in the database, and who may use them.

upgrade.py    migrations: make and upgrade the tables, refuse others
live.py       migrations of tables that others use: short waits for locks, tried again
upstream.py   views with upstream's names of tables and columns
packages.py   the same for other packages: their migrations, the tables of their tasks
roles.py      the rights of readers and writers on PostgreSQL
"""
