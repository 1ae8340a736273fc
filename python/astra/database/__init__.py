"""The database: all that differs between SQLite and PostgreSQL.

connection.py      opening it, its clock, transactions, and errors that say who has to act
sqlite.py          SQLite files, as the place where they lie allows
sessions.py        what each session of PostgreSQL is set to, and whether it lasts
reconnecting.py    operations that survive a lost connection
functions.py       functions that SQLite is given
doubles.py         arithmetic that means the same on both, and fails on neither
sql.py             SQL that the two spell differently, and many rows inserted or read
waiting.py         changes of tables that others use: short waits for locks, tried again
locks.py           who may change something now, and which workers live
clones.py          tables that are like another one
swapping.py        rows of two tables that change places
schemas.py         schemas, comments, views that keep their rights, foreign keys
"""
