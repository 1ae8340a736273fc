"""The report of a training: one HTML file that needs no other file and no network.

    data.py               what it is made from, and the columns that follow
    tables.py             its numbers, as text
    panels.py             what figures are made of: panels, legends, points, trends
    accuracy.py           figures of how wrong the predictions are
    trust.py              figures of whether stated errors are right, and of the training
    writing.py            its sections, in the words of training.html, and the file

The page itself is that of :mod:`astra.report.page`. The same inputs give the same bytes. The figures need
Bokeh, of the extra ``train`` of the package.
"""
