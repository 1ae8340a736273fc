"""A task for astra: the 4000 Angstrom break of BOSS spectra.

spec_files.py    a spec file -> arrays, and the facts about its spectrum
break_index.py   arrays -> the strength of the break
spectra.py       the table of the spectra
results.py       the table of the results
ingest.py        spec files -> rows of the first table
task.py          rows of the first table -> rows of the second
simulate.py      spec files with a known break, for tests and for a first try
"""

from boss_d4000.task import d4000

__all__ = ["d4000"]
