"""The report of a training: one HTML file that needs nothing else, not even a network.

    data.py               what it is made from, and the columns that follow
    sections.py           what it shows, in the words of training.html
    tables.py             its numbers, as text
    errors.py             figures of how wrong the predictions are
    trust.py              figures of whether stated errors can be believed, and of the training
    panels.py             what figures are made of: panels, legends, points, trends
    writing.py            the page as a file

The page itself is that of :mod:`astra.report.page`. The same inputs give the same bytes. The figures need
Bokeh, of the extra ``train`` of the package.
"""
