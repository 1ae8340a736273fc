"""Two sets of results of one task compared, spectrum by spectrum: those of a trial, and those of production.

pairs.py              spectra with a row in both, as arrays, streamed
differences.py        of any task: how much each column and each flag differs
distance_changes.py   of distances: by class, quality, luminosity and place; the largest; and against Gaia
comparing.py          from the open database to all of this
wording.py            what changed, in sentences, and as columns of the tables
paired_page.py        a page of plots
"""
