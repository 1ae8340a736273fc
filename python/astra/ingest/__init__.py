"""Files and catalogues -> sources and spectra.

apstar.py, allstar.py      the two ways in: files of spectra, and tables of a release
files.py, headers.py       which files there are, and what each says
spellings.py, units.py     how a quantity is called, and in which unit it comes
tables.py, columns.py      the tables of a file, and the columns of one by our names
gaia.py, extinction.py     which release of Gaia something is of; E(B-V) and its origin
catalog.py, listing.py     the operator's own table, which goes before all of these
values.py                  which of the values of a quantity are fillers
records.py                 one product as a file or a row describes it; the counts
register.py                writes one batch of records in one transaction
stars.py, spectra.py       its sources and its spectra
precedence.py              which of several values of one star is kept
references.py              rows of all tables that refer to a source or a spectrum
"""
