"""The sections of the report: what is drawn, and the numbers that the templates say.

overview.py      the head of the page, flags, outliers, weights
population.py    what the stars are, and where: luminosity and colour, sky, Galaxy, distances
errors.py        whether errors can be believed: as stated, against Gaia, from spectra of one star
star.py          one star
"""
