"""Public names of :mod:`astra.spectra`.

apstar.py    the reader of apStar files
"""
