"""The database: all that differs between SQLite and PostgreSQL.

connection.py      opening it, its clock, transactions, and errors that say who has to act
reconnecting.py    doing something again when the connection was lost meanwhile
sql.py             SQL that the two spell differently
locks.py           one process at a time changes the schema, claims work, or changes inputs
liveness.py        whether a worker lives: a lock that ends with its process
snapshot.py        reading much as it was at one moment
bulk.py            inserting many rows by few statements
schemas.py         schemas, comments, and views that keep their rights
foreign_keys.py    which tables refer to which others
"""
