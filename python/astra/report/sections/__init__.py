"""The sections of the report, one module each: what is shown, and what is said of it.

overview.py              the head of the page, and how many results carry which flag
luminosity.py            absolute magnitude against colour
sky.py, galaxy.py        where the stars are
distances.py             how far they are
errors.py                how uncertain the distances say that they are
gaia.py                  parallaxes against those of Gaia
repeats.py               spectra of one star against each other
outliers.py, star.py     the table of outliers, and one star
"""
