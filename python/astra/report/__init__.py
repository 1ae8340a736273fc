"""The report: one HTML page of all results, or of one star, that needs nothing else, not even a network.

rows.py, provenance.py, stars.py    what the database has: all results, where they are from, single stars
spectra.py, draws.py                of single stars: the spectrum, and the Monte Carlo draws made again
numbers.py, binning.py, geometry.py, classes.py, comparison.py, outliers.py    what follows, in arrays
contents.py                         all that a report is made from
figures.py, palettes.py             figures (Bokeh, the extra ``report``) in the colours of the page
sections/                           what is shown and said, one module for each section
whole.py, one_star.py, page.py      the pages, with page.js and report.css
making.py                           from the open database to a file
pages/                              HTML and style that the report of a training shares
"""
