"""A task for astra: how strongly a spectrum correlates with the lines of hydrogen.

template.py     the lines, and the template that they make
correlation.py  rectified flux -> the peak of its correlation with the template
results.py      the table of the results
task.py         spectra -> rows of results
migrations/     how the table came to be
"""

from template_snr.task import template_snr

__all__ = ["template_snr"]
