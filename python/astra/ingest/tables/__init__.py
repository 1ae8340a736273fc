"""Tables in files of any format, read in pieces, and their columns by our names.

table_files.py       the tables of a file: its kind, and which of its tables is meant
table.py             a table, whatever its format, of which some columns are read in pieces
fits_tables.py, parquet_tables.py, memory_tables.py   its formats
text_tables.py, text_layout.py                        CSV and its relatives; their delimiters and names
table_columns.py     the columns of a table by our names, in our units
named_columns.py     the columns that a user names for ours (--column)
"""
