"""The numbers of trained networks: files, and which of them is used.

files.py      a file of weights -> arrays, with name, checksum and details; and back
formats.py    astra's checkpoints, astroNN's folders, safetensors
library.py    the installed models: which is in force and why, a list, and the import of others
former.py     the weights that made rows before, found again by their checksum
validity.py   how unlike the training spectra a spectrum is, and what that adds to its error

The folder ``default`` has the embedded models: the default, and those that were it before.
"""
