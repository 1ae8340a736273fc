"""The catalogue: one row for each spectrum with a result, in a file that other programs read.

    options.py     the formats and names that a user can choose
    product.py     which catalogues there are: one for each task
    columns.py     the columns: name, kind, unit, description, UCD, and the field each comes from
    query.py       the rows, their summary, their origins; mixtures of weights are refused
    question.py    a question about the rows, and its answer
    table.py       the catalogue as its writers get it: facts about all rows, and batches of rows
    as_fits.py     the writer of FITS
    formats.py     the writers of VOTable, Parquet, ECSV and CSV
    sink.py        where the bytes go: a file, compressed or not, or standard output
    create.py      the command: from the database to a file

The values are those of the results of a task, of ``astronn_dist`` those of the view ``distances``, and of the
tables beside them; nothing here changes them.
"""
