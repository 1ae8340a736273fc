"""Maps of all the dust in a direction, from the package ``dustmaps`` (``--dust-map``).

A map in three dimensions needs a distance, which is what is looked for, so none is taken.
"""

import contextlib
import importlib
import io
from typing import NamedTuple

import numpy as np

from astra.errors import ConfigError, UsageError, nearest
from astra.models import Source
from astra.system.extras import require
from astra.system.plugins import FOREIGN, raised

#: E(B-V) for an SFD value of 1: A_B - A_V = 3.626 - 2.742 in Landolt's bands (Schlafly & Finkbeiner 2011,
#: ApJ 737, 103, Table 6, R_V = 3.1). The published tables of SDSS-V have this factor, too.
EBV_PER_SFD = 0.884


class _Known(NamedTuple):
    """The class of a map in ``dustmaps``, E(B-V) for a value of 1, and the bit of ``ebv_flags``."""

    query: str
    scale: float = 1.0
    flag: int = 0


# By the names of their modules.
_MAPS = {
    "sfd": _Known("SFDQuery", EBV_PER_SFD, Source.flag_ebv_from_sfd.value),
    # On the scale of SFD.
    "csfd": _Known("CSFDQuery", EBV_PER_SFD),
    "planck": _Known("PlanckQuery"),
    "lenz2017": _Known("Lenz2017Query"),
}


class DustMap:
    """One map, with its data in memory.

    Attributes:
        flag: Its bit of ``ebv_flags``, 0 if it has none.
        origin: Its name in ``ebv_origin``.
    """

    def __init__(self, name: str) -> None:
        """Load a map.

        Raises:
            UsageError: No such map.
            ConfigError: ``dustmaps`` or the data of the map are not installed.
        """
        if name not in _MAPS:
            raise UsageError(f"unknown dust map: {name!r}{nearest(name, _MAPS, 'it is one of')}")
        known = _MAPS[name]
        require(f"dustmaps.{name}", "--dust-map", "dustmaps")
        try:
            module = importlib.import_module(f"dustmaps.{name}")
            # It prints what to do about absent data, which the error says.
            with contextlib.redirect_stdout(io.StringIO()):
                self._query = getattr(module, known.query)()
        except FOREIGN as error:
            fetch = f"python -c 'import dustmaps.{name} as m; m.fetch()'"
            message = f"cannot load the dust map {name} ({raised(error)}); this downloads it: {fetch}"
            raise ConfigError(message) from error
        self._scale, self.flag = known.scale, known.flag
        self.origin = f"{known.scale:g} {name}" if known.scale != 1 else name

    def ebv(self, longitude: np.ndarray, latitude: np.ndarray) -> np.ndarray:
        """E(B-V) of all the dust in some directions.

        Args:
            longitude, latitude: Galactic coordinates, shape (N,), NaN where absent [deg].

        Returns:
            Shape (N,), NaN without coordinates and outside of the map [mag].
        """
        from astropy.coordinates import SkyCoord

        found, known = np.full(len(latitude), np.nan), np.isfinite(longitude + latitude)
        if known.any():
            place = SkyCoord(longitude[known], latitude[known], unit="deg", frame="galactic")
            found[known] = self._scale * np.asarray(self._query(place), float)
        return found
