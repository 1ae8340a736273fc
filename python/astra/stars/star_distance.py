"""What ``astra.distance`` returns: the distance of one star or of N stars, with units, as one object."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np

from astra.models.astronn_dist import AstroNNdist, Distance, not_clean_starflags
from astra.models.explain import flags_set, why_not_clean
from astra.models.fields import flags_of
from astra.models.source import Source
from astra.spectra.combined import CombinedSpectrum

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from astropy.table import QTable
    from astropy.units import Quantity
    from matplotlib.axes import Axes


# Of one star a value, of N stars an array of them: which of the two, no checker of types can know.
Texts: TypeAlias = Any
Ints: TypeAlias = Any
Bools: TypeAlias = Any

#: Attributes that are not columns: they are in no table.
BESIDE = ("draws", "spectrum", "meta")


@dataclass(frozen=True, eq=False, repr=False)
class StarDistance:
    """Distance, parallaxes and flags of one star, or of N stars.

    The result of N stars has a length, can be iterated, and is indexed like an array: ``stars[0]`` is the
    result of one star, ``stars[stars.clean]`` that of some.

    Attributes are named like the columns of the view ``distances``, or of the table of sources, that they
    equal. Numbers are quantities, NaN where absent, texts are ``None`` where absent, flags are bool and
    ``result_flags`` holds their bits, as ``not_clean`` and ``not_checked`` do those of the reasons: scalars
    for one star, arrays of shape (N,) for N.

    Attributes:
        identity: The name of the spectrum that its draws depend on.
        draws: The Monte Carlo draws that ``L_fakemag`` is the mean of, shape (draws,) or (N, draws) [mas].
        spectrum: The pixels or the path of the file that they are in, or an array of N of these.
        meta: What the numbers depend on besides the spectrum and the star: weights, their SHA-256, seed,
            draws, the version of Astra.
    """

    identity: Texts
    sdss4_apogee_id: Texts
    ra: "Quantity"
    dec: "Quantity"
    release: Texts
    spectrum_flags: Ints
    j_mag: "Quantity"
    k_mag: "Quantity"
    ebv: "Quantity"
    A_k_mag: "Quantity"
    L_fakemag: "Quantity"
    e_L_fakemag: "Quantity"
    e_model_L_fakemag: "Quantity"
    dist: "Quantity"
    e_dist: "Quantity"
    e_model_dist: "Quantity"
    e_dist_full: "Quantity"
    dist_lo: "Quantity"
    dist_hi: "Quantity"
    nn_parallax: "Quantity"
    e_nn_parallax: "Quantity"
    e_model_nn_parallax: "Quantity"
    plx_zero_point: "Quantity"
    plx_zero_point_origin: Texts
    gaia_parallax: "Quantity"
    e_gaia_parallax: "Quantity"
    parallax_pull: "Quantity"
    weighted_parallax: "Quantity"
    e_weighted_parallax: "Quantity"
    weighted_dist: "Quantity"
    e_weighted_dist: "Quantity"
    best_dist: "Quantity"
    best_dist_lo: "Quantity"
    best_dist_hi: "Quantity"
    best_dist_from: Texts
    coverage: "Quantity"
    coverage_blue: "Quantity"
    coverage_green: "Quantity"
    coverage_red: "Quantity"
    result_flags: Ints
    no_result_reason: Texts
    flag_fakemag_unreliable: Bools
    flag_missing_photometry: Bools
    flag_missing_extinction: Bools
    flag_no_result: Bools
    flag_bad: Bools
    flag_warn: Bools
    good: Bools
    not_clean: Ints
    not_checked: Ints
    gaia_checked: Bools
    clean: Bools
    draws: "Quantity"
    spectrum: "CombinedSpectrum | str | Any"
    meta: Mapping[str, Any]

    @classmethod
    def of(cls, columns: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> Self:
        """The result of N stars.

        Args:
            columns: What ``derive`` returns, and all else that is known of them, by the names of the
                attributes; shape (N,), of the draws (N, draws).
            meta: What the numbers depend on.
        """
        from astropy.units import Quantity

        flags = flags_of(AstroNNdist, "result_flags")
        bits = sum(flag.value * columns[name] for name, flag in flags.items())
        bad, warn = ((bits & mask) != 0 for mask in (AstroNNdist.BAD, AstroNNdist.WARN))
        good = ~bad & (columns["spectrum_flags"] & Distance.NOT_GOOD == 0)
        unfit = np.array([not_clean_starflags(release) for release in columns["release"]], int)
        summaries = {
            "result_flags": bits,
            "flag_bad": bad,
            "flag_warn": warn,
            "good": good,
            "gaia_checked": columns["not_checked"] & AstroNNdist.flag_not_checked_gaia.value == 0,
            "clean": good & (columns["not_clean"] == 0) & (columns["spectrum_flags"] & unfit == 0),
        }
        values = {
            name: Quantity(array, _unit(name)) if array.dtype.kind == "f" else array
            for name, array in {**columns, **summaries}.items()
        }
        return cls(**values, meta=dict(meta))

    # > A sequence of stars

    @property
    def isscalar(self) -> bool:
        """Whether this is the result of one star, and not that of N."""
        return isinstance(self.identity, str)

    def __bool__(self) -> bool:
        return self.isscalar or len(self) > 0

    def __len__(self) -> int:
        return len(self._several("has no length").identity)

    def __iter__(self) -> Iterator[Self]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: Any) -> Self:
        """One of N stars by its number, or some of them by a slice, a mask or numbers."""
        several = self._several("cannot be indexed")
        if isinstance(index, str):
            raise TypeError(f"a column is an attribute: .{index}; columns by name are those of .to_table()")
        parts = {name: _item(getattr(several, name)[index]) for name in self._names(without=("meta",))}
        return dataclasses.replace(self, **parts)

    def _several(self, what: str) -> Self:
        if self.isscalar:
            raise TypeError(f"the result of one star {what}")
        return self

    def _stars(self) -> list[Self]:
        return [self] if self.isscalar else [*self]

    @classmethod
    def _names(cls, without: Sequence[str] = BESIDE) -> list[str]:
        return [field.name for field in dataclasses.fields(cls) if field.name not in without]

    # > What follows from the columns

    @property
    def m_ks_abs(self) -> "Quantity":
        """Absolute Ks magnitude, 5 log10(L_fakemag) - 10 [mag]; NaN where there is no luminosity."""
        from astropy.units import mag

        return (5 * np.log10(self._luminosity) - 10) * mag

    @property
    def e_m_ks_abs(self) -> "Quantity":
        """Its error, from ``e_L_fakemag`` [mag]."""
        from astropy.units import mag

        return 5 / np.log(10) * self.e_L_fakemag.value / self._luminosity * mag

    @property
    def distmod(self) -> "Quantity":
        """Distance modulus of ``dist`` [mag]; NaN where Ks is missing."""
        from astropy.units import mag

        dist = np.where(self.flag_missing_photometry | (self.dist.value == 0), np.nan, self.dist.value)
        return (5 * np.log10(dist) - 5) * mag

    @property
    def _luminosity(self) -> np.ndarray:
        return np.where(self.L_fakemag.value > 0, self.L_fakemag.value, np.nan)

    @property
    def skycoord(self) -> "SkyCoord":
        """Where the stars are, at the distance ``best_dist`` (NaN where there is none).

        Raises:
            ValueError: The coordinates of no star are known.
        """
        from astropy.coordinates import SkyCoord

        if not np.isfinite(self.ra.value + self.dec.value).any():
            raise ValueError("the coordinates are not known: specify ra and dec [deg]")
        return SkyCoord(ra=self.ra, dec=self.dec, distance=self.best_dist, frame="icrs")

    @property
    def flags(self) -> Any:
        """The flags that are set, a dict of their meanings; a list of N for N stars."""
        found = [flags_set(AstroNNdist, "result_flags", star.result_flags) for star in self._stars()]
        return found[0] if self.isscalar else found

    @property
    def why_not_clean(self) -> Any:
        """Why a distance is not fit for work on single stars, a list of texts; a list of N for N stars."""
        found = [
            why_not_clean(star.result_flags, star.not_clean, star.spectrum_flags, star.release)
            for star in self._stars()
        ]
        return found[0] if self.isscalar else found

    # > Shown, written, drawn

    def to_table(self) -> "QTable":
        """A table of one row for each star, with units and descriptions; ``meta`` goes into its ``meta``."""
        from astropy.table import MaskedColumn, QTable

        table = QTable(meta=dict(self.meta))
        names = self._names()
        after = names.index("e_model_L_fakemag") + 1
        for name in (*names[:after], "m_ks_abs", "e_m_ks_abs", *names[after:]):
            values = np.atleast_1d(getattr(self, name))
            if values.dtype.kind in "OU":  # a column of objects cannot be written to a file
                values = MaskedColumn([text or "" for text in values], mask=[not text for text in values])
            table[name] = values
            table[name].info.description = _meaning(name)
        return table

    def plot(self) -> dict[str, "Axes"]:
        """Draw the result of one star with pyplot: spectrum, draws, place among colours and luminosities.

        The spectrum is rectified, with its errors, on one axis for each detector. Masked pixels are grey,
        and the strong lines of :mod:`astra.spectra.lines` are marked. The last axis has simulated stars, as
        a survey sees them, and this one.

        Returns:
            The axes of matplotlib: ``blue``, ``green``, ``red``, ``draws`` and ``place``.

        Raises:
            TypeError: This is the result of N stars.
            SpectrumError: The file of its spectrum cannot be read.
            ConfigError: matplotlib is not installed.
        """
        from astra.stars.plot import plotted

        return plotted(self)

    def __repr__(self) -> str:
        from astra.stars.text import representation

        return representation(self)

    def _repr_html_(self) -> str:
        from astra.stars.text import as_html

        return as_html(self)


def _unit(name: str) -> str | None:
    if name == "draws":
        name = "L_fakemag"
    return _column(name).unit


def _meaning(name: str) -> str:
    if name == "identity":
        return "Name of the spectrum that its draws depend on"
    # Flags are attributes of the results; what sums them up is a column of the view alone.
    of_results = None if name in ("flag_bad", "flag_warn") else getattr(AstroNNdist, name, None)
    return (of_results or _column(name)).help_text


def _column(name: str) -> Any:
    return {**Source._meta.fields, **Distance._meta.fields, **AstroNNdist._meta.fields}[name]


def _item(value: Any) -> Any:
    """A number of Python for one of NumPy."""
    return value.item() if isinstance(value, np.generic) else value
