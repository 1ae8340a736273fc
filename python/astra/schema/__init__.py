"""The schema: the tables as they are in the database, and who may use them.

upgrade.py    migrations: make and upgrade the tables, refuse others
packages.py   the same for other packages: their migrations, the tables of their tasks
roles.py      the rights of readers and writers on PostgreSQL
"""
