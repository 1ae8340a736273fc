"""The report of a training: one HTML file that needs nothing else, neither network nor scripts.

    data.py               what it is made from, and the columns that follow
    sections.py           what it shows, in the words of training.html
    tables.py             its numbers, as text
    errors.py             figures of how wrong the predictions are
    trust.py              figures of whether stated errors can be believed, and of the training
    svg.py                figures as SVG that follow the colours of the page
    writing.py            the page as a file

The page itself is that of :mod:`astra.report.page`. The same inputs give the same bytes. The figures need
matplotlib, the extra ``train`` of the package.
"""
