"""The catalogue: one row for each spectrum with a result, in a file that other programs read.

    options.py       what a user may choose
    columns.py       which columns there are: name, kind, unit, description, UCD, and where each comes from
    published.py     how the columns are called in the catalogue that DR19 published
    grammar.py       the language of conditions on rows
    filters.py       a condition, from text to a query, without any of the text in it
    query.py         the rows of the catalogue, and what is to be known of them before the first is written
    ucds.py          what the columns mean to programs of the Virtual Observatory
    provenance.py    which weights, seeds and versions the rows come from; mixtures are refused
    table.py         what a format is given: the columns, the facts, the rows
    described.py     the columns as astropy's own, without rows
    rows.py          batches of rows, as values and as packed records
    as_fits.py       one module for each format: all write to a stream, batch by batch
    as_votable.py
    as_parquet.py
    as_text.py
    checksum.py      the checksums of FITS, chunk by chunk
    create.py        all of it together

Nothing here decides what a value is: that is the view ``distances``, and the tables behind it.
"""
