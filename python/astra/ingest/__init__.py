"""Files and catalogues -> sources and spectra.

apstar.py, allstar.py      the two ways in: files of spectra, and tables of a release
files.py, headers.py       which files there are, and what each says
tables.py, columns.py      a large FITS table in pieces, and what its columns mean
extinction.py              E(B-V) from the columns of a table
catalog.py                 the operator's own table, which goes before all of these
spellings.py, values.py    how a quantity is called, and which of its values are fillers
records.py                 one product as a file or a row describes it; the counts
register.py                writes one batch of records in one transaction
stars.py, spectra.py       its sources and its spectra
precedence.py              which of several values of one star is kept
references.py              rows of all tables that refer to a source or a spectrum
"""
