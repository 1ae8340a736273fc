"""A star elsewhere: its coordinates as they are written, and the pages of others that know it.

Nothing here asks the network; an address is text.
"""

from dataclasses import dataclass
from urllib.parse import quote

import numpy as np

from astra.models.source import Source


@dataclass(frozen=True)
class Coordinates:
    """A place on the sky [deg].

    Attributes:
        ra, dec: ICRS.
        l, b: Galactic.
    """

    ra: float
    dec: float
    l: float  # noqa: E741
    b: float

    def lines(self) -> dict[str, tuple[str, str]]:
        """Each system with its two coordinates in degrees, and sexagesimal."""
        from astropy.coordinates import Angle

        def sexagesimal(angle: float, unit: str = "deg", *, sign: bool = False) -> str:
            form = {"sep": "hms"} if unit == "hour" else {"format": "unicode"}
            precision = 2 if unit == "hour" else 1
            found = Angle(angle, "deg").to_string(unit, precision=precision, pad=True, alwayssign=sign, **form)
            return found.replace("-", "−")

        def degrees(*angles: float) -> str:
            return ", ".join(f"{angle:.6f}°".replace("-", "−") for angle in angles)

        icrs = f"{sexagesimal(self.ra, 'hour')} {sexagesimal(self.dec, sign=True)}"
        galactic = f"{sexagesimal(self.l)} {sexagesimal(self.b, sign=True)}"
        return {
            "ICRS (RA, Dec)": (degrees(self.ra, self.dec), icrs),
            "Galactic (l, b)": (degrees(self.l, self.b), galactic),
        }


def coordinates_of(source: Source | None) -> Coordinates | None:
    """The place of a star, the Galactic one from the equatorial one if it is absent; ``None`` without any."""
    if source is None or not (np.isfinite(source.ra) and np.isfinite(source.dec)):
        return None
    if np.isfinite(source.l) and np.isfinite(source.b):
        return Coordinates(source.ra, source.dec, source.l, source.b)
    from astropy.coordinates import SkyCoord

    galactic = SkyCoord(source.ra, source.dec, unit="deg").galactic
    return Coordinates(source.ra, source.dec, galactic.l.deg, galactic.b.deg)


def links_of(source: Source | None) -> dict[str, str]:
    """Pages of others on a star, by their names: those for which its row has what it takes."""
    if source is None:
        return {}
    found = {}
    if gaia := source.gaia_dr3_source_id:
        found["Gaia DR3 in VizieR"] = f"https://vizier.cds.unistra.fr/viz-bin/VizieR-S?Gaia%20DR3%20{gaia}"
        found["Simbad by Gaia id"] = f"https://simbad.cds.unistra.fr/simbad/sim-id?Ident=Gaia+DR3+{gaia}"
    if (place := coordinates_of(source)) is not None:
        ra, dec = f"{place.ra:.6f}", f"{place.dec:+.6f}"
        around = quote(f"{ra} {dec}")
        found["Simbad by place"] = (
            f"https://simbad.cds.unistra.fr/simbad/sim-coo?Coord={around}"
            "&CooFrame=ICRS&Radius=5&Radius.unit=arcsec"
        )
        found["Aladin (2MASS)"] = (
            f"https://aladin.cds.unistra.fr/AladinLite/?target={around}&fov=0.1&survey=CDS/P/2MASS/color"
        )
        found["SDSS SkyServer"] = (
            f"https://skyserver.sdss.org/dr17/VisualTools/explore/summary?ra={ra}&dec={dec.lstrip('+')}"
        )
    if source.sdss_id:
        found["SDSS Zora"] = f"https://data.sdss.org/zora/target/{source.sdss_id}"
    return found
