"""Files and catalogues -> sources and spectra.

tables/                 tables in files of any format, and their columns by our names
catalogs/               tables of stars, and which of their rows belong to which sources
apstar.py, mwmstar.py   two commands: files of spectra, of the APOGEE reduction and of Astra for each star
files.py                finds the files of such commands, and registers them
allstar.py              a command: the table of a data release
catalog_alone.py        the command that takes values of sources from a table of stars
astra_database.py       the command that reads an existing database of SDSS Astra
fetching.py             the command that brings files from the survey's archive
archive.py              downloads from the archive, in a process of its own
headers.py              one file: its product, star and spectrum
spellings.py            the names of columns and cards, by our names
values.py               true values and fillers, and the limits that the distances share
extinction.py           E(B-V) of a header or a row: of the survey, by RJCE, or from a map
dust_maps.py            the maps of the package dustmaps
gaia.py                 the names and the release of Gaia's measurements
records.py              one product, as a file or a row describes it; the counts
register.py             writes one batch of records in one transaction: the rows of its spectra
other_spectra.py        registers spectra of the models of other packages, and their sources
source_rows.py          the rows of its sources
precedence.py           which of several values of one star is kept
references.py           rows of all tables that refer to a source or a spectrum
"""
