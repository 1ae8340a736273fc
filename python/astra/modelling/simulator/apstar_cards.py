"""The visits of a simulated star, and the primary header of its apStar file.

The cards are those of DR14 (``apStar-r8-*.fits``), and those that DR17 added, such as K_ERR and VHBARY. The
cards SIMULATE, FIELD, SURVEY, AKMETHOD and HISTORY say that nothing was observed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from astra.spectra.grid import DETECTORS, LOG_WAVELENGTH_0, LOG_WAVELENGTH_STEP, N_GRID
from astra.spectra.identity import SIMULATED_FIELD

#: Keyword, value, and perhaps a comment.
Card = tuple[str, Any] | tuple[str, Any, str]

FIELD = SIMULATED_FIELD
#: No plate has this number.
PLATE = "0000"
#: Stands for what was not measured.
FILLER = -9999.0

_MJD_0 = datetime(1858, 11, 17)
# Nights of the survey: 2011 September to 2020 November.
_FIRST_NIGHT, _LAST_NIGHT = 55805, 59168

# Motion of the Sun towards l = 0, l = 90 and b = 90 (Schoenrich, Binney & Dehnen 2010, MNRAS 403, 1829), and
# the rotation of the Galaxy recommended by the IAU in 1985 [km/s].
_SUN, _ROTATION = (11.1, 12.24, 7.25), 220.0

# The mean velocity, its scatter and its errors, by three methods, which agree here.
_VELOCITIES = (
    ("VHELIO", "VSCATTER", "VERR", "VERR_MED"),
    ("OVHELIO", "OVSCAT", "OVERR", "OVERR_ME"),
    ("SVHELIO", "SVSCAT", "SVERR", "SVERR_ME"),
)

#: The scale of wavelengths.
WAVELENGTH_CARDS: tuple[Card, ...] = (
    ("CRVAL1", LOG_WAVELENGTH_0, "log10 of the first wavelength [Angstrom]"),
    ("CDELT1", LOG_WAVELENGTH_STEP, "Step in log10 of the wavelength"),
    ("CRPIX1", 1, "Pixel of the first wavelength"),
    ("CTYPE1", "LOG-LINEAR", "Equal steps in log wavelength"),
    ("DC-FLAG", 1, "Equal steps in log wavelength"),
)

HISTORY = (
    "Simulated by astra: no star, and no observation.",
    "Extensions:",
    " 1 flux [10^-17 erg/s/cm^2/A]    2 its error",
    " 3 pixel mask (bits)",
    " 4 sky [10^-17 erg/s/cm^2/A]     5 its error",
    " 6 telluric transmission         7 its error",
    " 8 line spread function          9 radial velocities",
    "Rows: combined with a weight for each pixel; combined with one",
    " weight for each visit; then the visits. One visit: one row.",
    "Vacuum wavelengths in the rest frame of the star.",
)


@dataclass(frozen=True)
class Visits:
    """The n visits of one star, arrays of shape (n,)."""

    weight: np.ndarray
    """Share in the combined spectrum; they sum to 1."""

    mjd: np.ndarray
    """Night, int."""

    time: np.ndarray
    """Time of the exposure: modified Julian date [d]."""

    fiber: np.ndarray
    """Fibre, int."""

    bc: np.ndarray
    """Barycentric correction [km/s]."""

    v_helio: np.ndarray
    """Heliocentric velocity [km/s]."""

    e_v: np.ndarray
    """Error on it [km/s]."""

    snr: np.ndarray
    """Signal-to-noise ratio per pixel."""

    def __len__(self) -> int:
        return len(self.weight)

    @property
    def jd(self) -> np.ndarray:
        """Julian date [d]."""
        return self.time + 2400000.5

    @property
    def v_rel(self) -> np.ndarray:
        """Velocity relative to the observatory [km/s]."""
        return self.v_helio - self.bc

    @property
    def files(self) -> list[str]:
        """Names that the files of the visits would have; these files do not exist."""
        places = zip(self.mjd.tolist(), self.fiber.tolist(), strict=True)
        return [f"apVisit-dr17-{PLATE}-{mjd}-{fiber:03d}.fits" for mjd, fiber in places]


def draw_visits(n: int, snr: float, v_helio: float, rng: np.random.Generator) -> Visits:
    """Draw the circumstances of n visits to a star.

    Args:
        n: At least 1.
        snr: Signal-to-noise ratio of all together.
        v_helio: Velocity of the star [km/s].
        rng: Source of randomness.
    """
    weight = rng.uniform(0.6, 1.4, n)
    weight /= weight.sum()
    mjd = np.sort(rng.choice(np.arange(_FIRST_NIGHT, _LAST_NIGHT), n, replace=False))
    visit_snr = snr * np.sqrt(weight)
    e_v = np.clip(10 / visit_snr, 0.02, 5.0)
    return Visits(
        weight=weight,
        mjd=mjd,
        time=mjd + rng.uniform(0.05, 0.5, n),
        fiber=rng.integers(1, 301, n),
        bc=rng.uniform(-28, 28, n),
        v_helio=v_helio + e_v * rng.standard_normal(n),
        e_v=e_v,
        snr=visit_snr,
    )


def date(mjd: float) -> str:
    """A modified Julian date as FITS writes it, to the millisecond."""
    return (_MJD_0 + timedelta(days=float(mjd))).isoformat(timespec="milliseconds")


def primary_cards(
    star: dict[str, Any], visits: Visits, star_flags: int, has_data: np.ndarray
) -> Iterator[Card]:
    """All cards of the header, which has no data.

    Args:
        star: What is known of the star: the fields of ``Observables``, ``snr``, and the labels ``teff``,
            ``logg``, ``metallicity`` and ``alpha``.
        visits: Its visits.
        star_flags: STARFLAG.
        has_data: Pixels with a measurement, bool of shape (8575,).
    """
    yield "SIMPLE", True, "In the standard format"
    yield "BITPIX", 8, "Bits of a value"
    yield "NAXIS", 0, "No data here"
    yield "EXTEND", True, "Extensions follow"
    yield "DATE", date(visits.time[-1])[:10], "Night of the last visit: simulated"
    yield "SIMULATE", True, "Simulated: no star, and no observation"
    yield from _star_cards(star)
    yield from _combination_cards(star, visits, star_flags)
    for index in range(len(visits)):
        yield from _visit_cards(star, visits, index, star_flags)
    yield from _range_cards(has_data)
    yield "NWAVE", N_GRID, "Pixels of each row"
    yield from WAVELENGTH_CARDS
    yield from (("HISTORY", line) for line in HISTORY)


def _star_cards(star: dict[str, Any]) -> Iterator[Card]:
    yield "OBJID", star["apogee_id"], "Name, from the position"
    for band, name in (("j", "J"), ("h", "H"), ("k", "K")):
        label = f"2MASS {name}{'s' if name == 'K' else ''} magnitude"
        yield name, star[f"{band}_mag"], f"{label}, simulated"
        yield f"{name}_ERR", star[f"e_{band}_mag"], f"Error on the {label}"
    yield "AKTARG", round(star["a_k"], 5), "A_K used for targeting [mag]"
    yield "AKMETHOD", "simulated", "Where AKTARG comes from"
    yield "AKWISE", FILLER, "A_K from WISE colours [mag]"
    yield "SFD_EBV", star["ebv"], "E(B-V) [mag], simulated"
    for number in (1, 2, 3):
        yield f"TARG{number}", 0, f"APOGEE targeting flags {number} (bits)"
    yield "SURVEY", FIELD, "Survey of the targeting flags"
    yield "TELESCOP", "apo25m", "Telescope whose spectra are imitated"
    yield "LOCID", 0, "Number of the field: none"
    yield "FIELD", FIELD, "Name of the field"
    yield "RA", star["ra"], "Right ascension, J2000 [deg]"
    yield "DEC", star["dec"], "Declination, J2000 [deg]"
    yield "GLON", star["l"], "Galactic longitude [deg]"
    yield "GLAT", star["b"], "Galactic latitude [deg]"


def _combination_cards(star: dict[str, Any], visits: Visits, star_flags: int) -> Iterator[Card]:
    mean = _rounded(np.sum(visits.weight * visits.v_helio))
    error, middle = _rounded(np.sum(visits.e_v**-2.0) ** -0.5), _rounded(np.median(visits.e_v))
    yield "NVISITS", len(visits), "Visits combined"
    yield "COMBTYPE", 0, "Velocities used: relative to the observatory"
    yield "COMMENT", "ALL VISITS:"
    yield "VRAD", 0.0, "Doppler shift left in this spectrum [km/s]"
    for mean_name, scatter_name, error_name, middle_name in _VELOCITIES:
        yield mean_name, mean, "Heliocentric velocity [km/s]"
        yield scatter_name, _scatter(visits.v_helio), "Scatter of the visits [km/s]"
        yield error_name, error, "Error on the mean velocity [km/s]"
        yield middle_name, middle, "Median error of a visit [km/s]"
    yield "VLSR", _rest(star, mean, _SUN), "Velocity, local standard of rest [km/s]"
    around = (_SUN[0], _SUN[1] + _ROTATION, _SUN[2])
    yield "VGSR", _rest(star, mean, around), "Velocity, Galactic standard of rest [km/s]"
    yield "VHBARY", mean, "Barycentric velocity [km/s]"
    yield "SYNTHSCA", 0.0, "Scatter between two velocity methods [km/s]"
    yield "SNR", _rounded(star["snr"]), "Signal-to-noise ratio per pixel"
    yield "STARFLAG", star_flags, "Flags of any visit (bits)"
    yield "ANDFLAG", star_flags, "Flags of all visits (bits)"
    yield "MEANFIB", _rounded(np.sum(visits.weight * visits.fiber)), "Mean fibre, weighted"
    yield "SIGFIB", _scatter(visits.fiber), "Scatter of the fibres"
    yield from _template_cards(star, "")
    yield "CCPFWHM", 30.0, "Width of the correlation peak [km/s]"
    yield "AUTOFWHM", 30.0, "The same, of the template with itself [km/s]"


def _rest(star: dict[str, Any], v_helio: float, motion: tuple[float, float, float]) -> float:
    """A velocity relative to a frame in which the Sun has this motion [km/s]."""
    l, b = np.radians(star["l"]), np.radians(star["b"])  # noqa: E741
    towards = (np.cos(l) * np.cos(b), np.sin(l) * np.cos(b), np.sin(b))
    return _rounded(v_helio + np.dot(motion, towards))


def _template_cards(star: dict[str, Any], suffix: str | int) -> Iterator[Card]:
    yield f"CHISQ{suffix}", 1.0, "Chi square of the velocity template"
    yield f"RVFEH{suffix}", round(2 * star["metallicity"]) / 2, "[Fe/H] of the velocity template [dex]"
    yield f"RVTEFF{suffix}", round(star["teff"] / 250) * 250.0, "Temperature of the template [K]"
    yield f"RVLOGG{suffix}", round(2 * star["logg"]) / 2, "log g of the template [dex]"
    yield f"RVALPH{suffix}", round(4 * star["alpha"]) / 4, "[alpha/Fe] of the template [dex]"
    yield f"RVCARB{suffix}", 0.0, "[C/Fe] of the template [dex]"


def _visit_cards(star: dict[str, Any], visits: Visits, index: int, star_flags: int) -> Iterator[Card]:
    n = index + 1
    v_helio = _rounded(visits.v_helio[index])
    yield "COMMENT", f"VISIT {n}:"
    yield f"SFILE{n}", visits.files[index], "Name its file would have"
    yield f"DATE{n}", date(visits.time[index]), "Time of the exposure"
    yield f"JD{n}", _rounded(visits.jd[index]), "Julian date [d]"
    yield f"HJD{n}", _rounded(visits.time[index] + 0.5), "Heliocentric Julian date - 2400000 [d]"
    yield f"FIBER{n}", int(visits.fiber[index]), "Fibre"
    yield f"BC{n}", _rounded(visits.bc[index]), "Barycentric correction [km/s]"
    yield f"VTYPE{n}", 2, "How the velocity was measured"
    yield f"VRAD{n}", _rounded(visits.v_rel[index]), "Velocity seen from Earth [km/s]"
    yield f"VERR{n}", _rounded(visits.e_v[index]), "Error on the velocity [km/s]"
    yield f"VHELIO{n}", v_helio, "Heliocentric velocity [km/s]"
    yield f"VHBARY{n}", v_helio, "Barycentric velocity [km/s]"
    yield from _template_cards(star, n)
    yield f"SNRVIS{n}", _rounded(visits.snr[index]), "Signal-to-noise ratio per pixel"
    yield f"FLAG{n}", star_flags, "STARFLAG (bits)"


def _rounded(value: float) -> float:
    """Rounded to the digits that are significant: a centimetre per second, a second of time."""
    return round(float(value), 5)


def _scatter(values: np.ndarray) -> float:
    """Standard deviation, 0 for a single value."""
    return _rounded(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _range_cards(has_data: np.ndarray) -> Iterator[Card]:
    """The first and the last pixel with data of each detector."""
    for name, (start, end) in zip("BGR", DETECTORS, strict=True):
        pixels = np.flatnonzero(has_data[start:end])
        first, last = (int(pixels[index]) + start if len(pixels) else -1 for index in (0, -1))
        for prefix, which in (("", "any"), ("OVER", "every")):
            yield f"{name}{prefix}MIN", first, f"First pixel with data in {which} visit"
            yield f"{name}{prefix}MAX", last, f"Last pixel with data in {which} visit"
