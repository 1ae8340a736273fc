"""The numbers of trained networks: files, and which of them is used.

files.py        a file of weights -> arrays, with name, checksum and details; and back
formats.py      astra's checkpoints, astroNN's folders, safetensors
kept.py         copies of checkpoints, which need no torch
library.py      the installed models: which is in force and why, a list, and the import of others
card.py         what a model says of itself, as Markdown
former.py       the weights that made rows before, found again by their checksum
calibration.py  corrections of a prediction and its error by luminosity and signal-to-noise ratio
missing.py      what missing pixels add to the error
validity.py     how unlike the training spectra a spectrum is, and what that adds to its error
tables.py       the tables of these three in a file, checked

The folder ``default`` has the embedded models: the default, and those that were it before.
"""
