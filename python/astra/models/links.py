"""A star elsewhere: its coordinates as they are written, and the pages of others that know it.

Nothing here asks the network; an address is text.
"""

import re
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
        """Each system with its two coordinates, sexagesimal and in degrees."""
        icrs = f"{in_hours(self.ra)} {in_degrees(self.dec, sign=True)}"
        galactic = f"{in_degrees(self.l)} {in_degrees(self.b, sign=True)}"
        return {
            "ICRS (RA, Dec)": (icrs, f"{self.ra:.6f}°, {_minus(f'{self.dec:+.6f}')}°"),
            "Galactic (l, b)": (galactic, f"{self.l:.6f}°, {_minus(f'{self.b:+.6f}')}°"),
        }


_2MASS = re.compile(r"2M(\d{8}[+-]\d{7})")


def in_hours(angle: float) -> str:
    """An angle [deg] in hours, minutes and seconds of time, as in ``17h33m42.54s``."""
    hours, minutes, seconds = sexagesimal(angle % 360 / 15, 2)
    return f"{hours % 24:02d}h{minutes:02d}m{seconds}s"


def in_degrees(angle: float, *, sign: bool = False) -> str:
    """An angle [deg] in degrees, minutes and seconds of arc, as in ``−16°54′57.3″``."""
    degrees, minutes, seconds = sexagesimal(abs(angle), 1)
    before = ("−" if angle < 0 else "+") if sign or angle < 0 else ""
    return f"{before}{degrees:02d}°{minutes:02d}′{seconds}″"


def sexagesimal(units: float, digits: int) -> tuple[int, int, str]:
    """Whole units, their sixtieths, and sixtieths of these with so many digits; rounded once, so never 60."""
    minutes, rest = divmod(round(units * 3600 * 10**digits), 60 * 10**digits)
    return *divmod(minutes, 60), f"{rest / 10**digits:0{3 + digits}.{digits}f}"


def _minus(text: str) -> str:
    return text.replace("-", "−")


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
    if of_2mass := _2MASS.fullmatch(source.sdss4_apogee_id or ""):
        name = quote(f"2MASS J{of_2mass[1]}")
        found["Simbad by 2MASS name"] = f"https://simbad.cds.unistra.fr/simbad/sim-id?Ident={name}"
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
