"""The catalogue: one row for each spectrum with a result, in a file that other programs read.

    options.py        the formats and names that a user can choose
    columns.py        the columns: name, kind, unit, description, UCD, and the field each comes from
    vocabularies.py   their names in the catalogue of DR19, their UCDs
    grammar.py        the language of conditions on rows
    filters.py        a condition, from text to a query that holds none of the text
    query.py          the rows, their summary, their origins; mixtures of weights are refused
    table.py          the catalogue as its writers get it
    packing.py        batches of rows, as values and as packed records
    as_fits.py        one writer for each format, batch by batch to a stream
    as_votable.py
    as_parquet.py
    as_text.py
    create.py         the command: from the database to a file

The values are those of the view ``distances`` and the tables that it reads; nothing here changes them.
"""
