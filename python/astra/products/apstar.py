"""Public names of :mod:`astra.spectra.apstar`."""

from astra.spectra.apstar import (
    CombinedSpectrum as CombinedSpectrum,
)
from astra.spectra.apstar import (
    read_combined as read_combined,
)
from astra.spectra.apstar import (
    read_header as read_header,
)
