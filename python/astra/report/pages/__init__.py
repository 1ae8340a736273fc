"""Self-contained HTML pages: what the report of a training and the report of the results share.

markup.py    sections, tables, numbers, and the page around them
style.py     the style sheet: light, dark, paper
"""
