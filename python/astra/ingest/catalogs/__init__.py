"""Tables of stars, and which of their rows belong to which sources.

catalog.py           the table of --catalog, whose values are preferred
matching.py          which rows of a table of any size are linked with which sources
known_sources.py     the identifiers and positions of all sources, in arrays
positions.py         rows and sources at the same position
islands.py           rows and sources that have to be looked at together
"""
