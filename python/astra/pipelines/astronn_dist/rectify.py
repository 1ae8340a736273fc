"""Public names of :mod:`astra.spectra.rectify`."""

from astra.spectra.rectify import rectify as rectify
from astra.spectra.rectify import usable as usable
