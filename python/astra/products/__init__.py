"""Names that users know, each from the room that it is in.

apstar.py              the reader of apStar files
pipeline_summary.py    upstream's function that writes the catalogue
"""
