"""Files and catalogues -> sources and spectra.

apstar.py, mwmstar.py   two commands: files of spectra, of the APOGEE reduction and of Astra for each star
files.py                finds the files of such commands, and registers them
allstar.py              a command: the table of a data release
catalog_alone.py        the command that takes values of sources from a table of stars
matching.py             which rows of that table are linked with which sources
known_sources.py        the identifiers and positions of all sources, in arrays
positions.py            rows and sources at the same position
islands.py              rows and sources that have to be looked at together
astra_database.py       the command that reads an existing database of SDSS Astra
fetching.py             the command that brings files from the survey's archive
archive.py              downloads from the archive, in a process of its own
headers.py              one file: its product, star and spectrum
table_files.py          the tables of a file: its kind, and which of its tables is meant
table.py                a table, whatever its format, of which some columns are read in pieces
fits_tables.py, parquet_tables.py, memory_tables.py   its formats
text_tables.py, text_layout.py                        CSV and its relatives; their delimiters and names
table_columns.py        the columns of a table by our names, in our units
named_columns.py        the columns that a user names for ours (--column)
spellings.py            the names of columns and cards, by our names
values.py               true values and fillers, and the limits that the distances share
extinction.py           E(B-V) of a header or a row: of the survey, by RJCE, or from a map
dust_maps.py            the maps of the package dustmaps
gaia.py                 the names and the release of Gaia's measurements
catalog.py              the table of --catalog, whose values are preferred
records.py              one product, as a file or a row describes it; the counts
register.py             writes one batch of records in one transaction: the rows of its spectra
other_spectra.py        registers spectra of the models of other packages, and their sources
source_rows.py          the rows of its sources
precedence.py           which of several values of one star is kept
references.py           rows of all tables that refer to a source or a spectrum
"""
