"""The report: one HTML page of all results, or of one star, that needs nothing else, not even a network.

rows.py                       the results as arrays, and what kind of star each is of
comparison.py, outliers.py    against Gaia, spectra of one star; the stars that are worth a look
contents.py                   all that a report is made from, and where it comes from
stars.py                      single stars: their spectra, and their Monte Carlo draws made again
summaries.py, geometry.py     from many stars to few numbers; places on the sky and in the Galaxy
sections/                     what is drawn, and the numbers that are said of it
figures.py                    figures (Bokeh, the extra ``report``), in the colours of the page
page.py, colours.py           pages, which the report of a training shares: templates, style sheet and script
making.py                     from the open database to a file
"""
