"""Single stars: distances without a database, for Python, notebooks and ``astra distance``; ``astra show``.

direct.py         from spectra, or their files, to distances: ``astra.distance``, ``distance_from_apstar``
inputs.py         what a caller passes, checked
files.py          the stars of files: pixels, and what header, catalogue and caller say of them
star_distance.py  what comes back: one star, or a sequence of them
text.py           the same in words, for a terminal and a notebook
plot.py           the same as a figure
converters.py     luminosities, magnitudes and distances into each other, under astroNN's names
known.py          all that the database knows of one star
"""
