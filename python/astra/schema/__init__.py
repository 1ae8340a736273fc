"""The schema: the tables as they are in the database, and who may use them.

upgrade.py    migrations: make and upgrade the tables, refuse others
roles.py      the rights of readers and writers on PostgreSQL
"""
