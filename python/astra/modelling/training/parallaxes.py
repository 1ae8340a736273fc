"""Training examples from a database of ingested spectra, labelled with parallaxes.

The label of a spectrum is ``y = plx 10^(0.2 Ks_0)`` [mas], with ``Ks_0 = Ks - A_K``: the pseudo-luminosity
that follows from the star's parallax (Leung & Bovy 2019, MNRAS 489, 2079). Its error is
``e_plx 10^(0.2 Ks_0)``. It is linear in the parallax, so that the noise of a parallax stays as nearly normal
as it is: a label may be 0 or negative, and is unbiased all the same.

**No cut looks at the sign or at the significance of a parallax.** Either would keep the stars whose noise
made their parallax larger, and the network would learn that all are fainter and nearer than they are.

**The errors of Ks and of E(B-V) are not in the error of a label.** They scale the true pseudo-luminosity, so
they would enter as ``0.46 e_Ks`` times the true value, and only the noisy one is known: an error that grows
with it takes weight from just those labels that the noise made large, and biases the scale downwards.
The network learns this scatter itself, as a part of ``exp(s)``, from the spectrum alone. What is left is
that Ks moves a label and its error together, which changes the scale by -1.5 (0.46 e_Ks)^2 at most: -0.03 %
for 0.03 mag.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import peewee

import astra
from astra.errors import ConfigError, UsageError
from astra.ingest.values import FILLER, SMALLEST_K_MAG
from astra.modelling.training.examples import Examples, Progress
from astra.modelling.training.rectified import rectified_spectra
from astra.models.apogee import ApogeeCoaddedSpectrumInApStar as Coadded
from astra.models.source import Source
from astra.pipelines.astronn_dist.distances import distance
from astra.spectra.identity import check_base_dir

ANY_STARFLAG = 2**63 - 1
#: Rows in one query.
CHUNK = 10_000
#: Fewer spectra than these say nothing about a network of 1.5 million weights.
FEWEST = 100

_KEPT = "kept"
_NUMBERS = ("spectrum_pk", "source", "snr", "plx", "e_plx", "k_mag", "ebv")


@dataclass(frozen=True)
class Cuts:
    """Which spectra to train on; the defaults are those of Leung & Bovy (2019).

    A usable Ks magnitude, a known extinction, and a parallax with a positive error are always needed. A
    spectrum whose star lacks the quantity of a cut is left out by it.
    """

    max_ruwe: float | None = 1.4
    """RUWE of the astrometry, to be below this; ``None``: any."""

    forbidden_starflags: int = ANY_STARFLAG
    """STARFLAG bits of which none may be set; 0: any may."""

    min_snr: float = 200.0
    """Signal-to-noise ratio of the spectrum per pixel, to be above this."""

    max_ebv: float | None = None
    """E(B-V), to be at most this [mag]; ``None``: any."""

    def __post_init__(self) -> None:
        for name in ("max_ruwe", "min_snr", "max_ebv"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise UsageError(f"the cut {name} is {value}: give a number")


@dataclass(frozen=True, eq=False)
class Labelled:
    """The spectra that the cuts leave, in the order of their keys; arrays of shape (N,)."""

    spectrum_pk: np.ndarray
    star: np.ndarray
    """The ``pk`` of the source, int64."""

    fakemag: np.ndarray
    """The label y [mas]; may be 0 or negative."""

    e_fakemag: np.ndarray
    """Its error from the parallax alone [mas]."""

    snr: np.ndarray
    removed: dict[str, int]
    """How many spectra each cut left out, in the order of the cuts; each counts for the first it fails."""

    releases: dict[str, int]
    """Spectra by data release."""

    astrometry: dict[str, int]
    """Spectra by the release of their star's parallax."""

    digest: str
    """sha256 of the pixels and the labels."""

    fingerprint: str
    """sha256 of the pixels alone: of their digest at ingest, else of the path and the last change."""


@dataclass(frozen=True, eq=False)
class ParallaxExamples:
    """Examples, and where they come from."""

    examples: Examples
    labelled: Labelled
    unreadable: int
    """How many spectra were selected, but could not be read."""


def examples_from_database(
    cuts: Cuts,
    work: Path,
    *,
    zero_point: float = 0.0,
    on_progress: Progress = lambda done, total: None,
) -> ParallaxExamples:
    """Make examples of the spectra of the database that the models are bound to.

    Args:
        cuts: Which spectra.
        work: Folder that keeps the rectified spectra for the next training.
        zero_point: See :func:`labels`.
        on_progress: Called with the number of spectra that are read, and of all.

    Raises:
        ConfigError: The cuts leave fewer than ``FEWEST`` spectra, or too many files hold none, or
            ``SAS_BASE_DIR`` cannot be used, or the folder cannot be written.
        Interrupted: Too many files are not there.
    """
    labelled = select(cuts, zero_point=zero_point)
    if _joined(Coadded.pk).where(*_conditions(cuts).values(), ~Coadded.path.startswith("/")).exists():
        check_base_dir()
    flux, good = rectified_spectra(labelled.spectrum_pk, labelled.fingerprint, work, on_progress)
    unreadable = len(good) - len(flux)
    _check_number(len(flux), labelled.removed | {"unreadable": unreadable})
    columns = {name: getattr(labelled, name)[good] for name in ("fakemag", "e_fakemag", "snr")}
    examples = Examples(
        flux=flux,
        star=labelled.star[good],
        kind=np.full(len(flux), ""),
        noise=np.zeros(len(flux), np.float32),
        **{name: column.astype(np.float32) for name, column in columns.items()},
    )
    return ParallaxExamples(examples, labelled, unreadable)


def labels(
    plx: np.ndarray, e_plx: np.ndarray, k_mag: np.ndarray, ebv: np.ndarray, zero_point: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Labels and their errors [mas], from arrays of one shape.

    Args:
        plx, e_plx: Parallax and error [mas].
        k_mag, ebv: Apparent Ks magnitude and E(B-V) [mag].
        zero_point: What the survey measures where the parallax is 0 [mas]; it is subtracted. As Gaia defines
            it, it is negative: -0.029 mas for the quasars of DR2 (Lindegren et al. 2018, A&A 616, A2), -0.017
            mas for those of DR3 (Lindegren et al. 2021, A&A 649, A4). The default is 0, because it depends on
            magnitude, colour and position as much as on the release (for bright giants of DR2 it is nearer
            to -0.05 mas), and the parallaxes may have been corrected, or may not be Gaia's.
    """
    factor = 10 ** (0.2 * (k_mag - distance.extinction(ebv)))
    return (plx - zero_point) * factor, e_plx * factor


def select(cuts: Cuts, *, zero_point: float = 0.0) -> Labelled:
    """Find the spectra that the cuts leave, with their labels; no file is opened.

    Raises:
        ConfigError: Fewer than ``FEWEST`` are left.
    """
    removed = _count_removed(cuts)
    parts, releases, astrometry = [], Counter(), Counter()
    pixels = hashlib.sha256(f"astra {astra.__version__}".encode())
    content = hashlib.sha256(f"zero point {zero_point}".encode())
    for rows in _chunks(cuts):
        for row in rows:
            identity = row.pixels_digest or f"{row.path} {row.modified}"
            pixels.update(f"\n{row.product_id} {identity}".encode())
        numbers = np.array([[getattr(row, name) for name in _NUMBERS] for row in rows], float)
        content.update(numbers[:, 2:].astype("<f8").tobytes())
        releases.update(row.release for row in rows)
        astrometry.update(row.gaia_release or "unknown" for row in rows)
        parts.append(numbers)
    _check_number(sum(map(len, parts)), removed)
    key, star, snr, *astrometric = np.concatenate(parts).T
    content.update(pixels.digest())
    return Labelled(
        key.astype(np.int64),
        star.astype(np.int64),
        *labels(*astrometric, zero_point),
        snr,
        removed,
        dict(sorted(releases.items())),
        dict(sorted(astrometry.items())),
        content.hexdigest(),
        pixels.hexdigest(),
    )


# > The query


def _conditions(cuts: Cuts) -> dict[str, Any]:
    """The conditions on a spectrum in their order, by the name of what is wrong where one does not hold."""
    wanted = {
        "no_source": Source.pk.is_null(False),
        "no_file": Coadded.path.is_null(False),
        "no_k_mag": (Source.k_mag > SMALLEST_K_MAG) & (Source.k_mag < FILLER),
        "no_extinction": (Source.ebv > 0) & (Source.ebv < FILLER),
        "no_parallax": Source.plx.is_null(False) & (Source.e_plx > 0),
    }
    if cuts.max_ruwe is not None:
        wanted["ruwe"] = Source.ruwe < cuts.max_ruwe
    if cuts.forbidden_starflags:
        wanted["starflag"] = Coadded.spectrum_flags.bin_and(cuts.forbidden_starflags) == 0
    wanted["snr"] = Coadded.snr > cuts.min_snr
    if cuts.max_ebv is not None:
        wanted["ebv"] = Source.ebv <= cuts.max_ebv
    return wanted


def _joined(*columns: Any) -> peewee.ModelSelect:
    return Coadded.select(*columns).join(Source, peewee.JOIN.LEFT_OUTER, on=(Coadded.source == Source.pk))


def _count_removed(cuts: Cuts) -> dict[str, int]:
    conditions = _conditions(cuts)
    # A condition on an absent value is neither true nor false in SQL; here it counts as false.
    fails = [(peewee.Case(None, [(good, 0)], 1) == 1, name) for name, good in conditions.items()]
    first = peewee.Case(None, fails, _KEPT).alias("removed_by")
    counts = dict(_joined(first, peewee.fn.COUNT(Coadded.pk)).group_by(peewee.SQL("removed_by")).tuples())
    return {name: counts.get(name, 0) for name in conditions}


def _chunks(cuts: Cuts) -> Iterator[list[Any]]:
    query = _joined(
        *(Coadded.product_id, Coadded.release, Coadded.pixels_digest, Coadded.path, Coadded.modified),
        *(Coadded.spectrum_pk, Coadded.source, Coadded.snr),
        *(Source.gaia_release, Source.plx, Source.e_plx, Source.k_mag, Source.ebv),
    ).where(*_conditions(cuts).values())
    key, last = Coadded.spectrum_pk, 0
    while rows := list(query.where(key > last).order_by(key).limit(CHUNK).namedtuples()):
        yield rows
        last = rows[-1].spectrum_pk


def _check_number(number: int, removed: dict[str, int]) -> None:
    if number < FEWEST:
        detail = ", ".join(f"{name} {count:,}" for name, count in removed.items() if count) or "nothing"
        raise ConfigError(
            f"{number:,} spectra are left to train on, at least {FEWEST} are needed (left out: {detail}); "
            "loosen the cuts, or ingest spectra of stars with parallaxes"
        )
