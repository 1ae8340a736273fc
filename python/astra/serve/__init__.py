"""The results in the browser: datasette over the database, or over a copy of it, on this machine alone.

serving.py      the server, and what it opens: a SQLite file that others go on writing, or a temporary copy
copying.py      a copy of a database in one SQLite file, of one moment
describing.py   what datasette is told of tables and columns: the texts, units and flags of their models
questions.py    the queries of questions.md, which is the page "Questions in SQL" of the documentation
rendering.py    cells: flags in words, numbers that can be read, links from a view to the rows behind it
counting.py     facets that are counted in one pass
"""
