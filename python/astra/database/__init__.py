"""The database: all that differs between SQLite and PostgreSQL.

connection.py      opening it, its clock, transactions, and errors that say who has to act
reconnecting.py    doing something again when the connection was lost meanwhile
snapshot.py        reading much as it was at one moment
foreign_keys.py    which tables refer to which others
"""
