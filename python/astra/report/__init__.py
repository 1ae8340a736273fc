"""The report: one HTML page of all results, or of one star, that needs no other file and no network.

arrays.py           columns as arrays, streamed; the results of any task
result_arrays.py    the distances as arrays, and the class of each star
summaries.py        from many stars to few numbers: percentiles, histograms, densities
agreement.py        distances against Gaia's, spectra of one star, and the stars to look at
labels.py           Teff and log g of the stars, from a table that is given
contents.py         all that a report is made from, and where it comes from
task_page.py        the page of any task: what its models say, and what it registered
star_table.py       what a page says of each star that its figures show as a point
losses.py           the section on what good and clean leave out
star_details.py     single stars: their rows, their spectra, and their Monte Carlo draws, repeated
page.py             HTML pages, which the training report shares: templates, style sheet and script
figures.py          what all figures share: axes, colours, legends, hover
population.py       sections on what the stars are, and where
bailer_jones.py     distances beside those of Bailer-Jones et al.
uncertainties.py    sections on whether errors are right
results_page.py     the page of all distances
star_page.py        the page of one star: what is on it, and in which order
star_distances.py   all distances of a star, side by side
star_place.py       a star among the others of the database
star_spectrum.py    the spectrum of a star: a row for each detector, gaps, errors, names of lines
making.py           from the open database to a file
paired/            results of a trial compared with those of production
"""
