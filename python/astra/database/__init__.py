"""The database: all that differs between SQLite and PostgreSQL.

connection.py      opening it, its clock, transactions, and errors that say who has to act
reconnecting.py    operations that survive a lost connection
sql.py             SQL that the two spell differently, and the insertion of many rows
locks.py           who may change something now, and which workers live
snapshot.py        reading many rows as they were at one moment
schemas.py         schemas, comments, views that keep their rights, foreign keys
"""
