"""The task: reads spectra, has the numbers computed, and fills in rows and flags."""

import functools
import itertools
import logging
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import peewee
from peewee import fn

from astra.config import load_settings
from astra.errors import MissingSpectrum, SpectrumError, UnusableSpectrum
from astra.ingest.values import FILLER, SMALLEST_K_MAG
from astra.models.apogee import ApogeeCoaddedSpectrumInApStar, ApogeeSpectrum
from astra.models.astronn_dist import AstroNNdist
from astra.models.base import BaseModel
from astra.models.mwm import ApogeeCombinedSpectrum
from astra.models.pipeline import TaskRun
from astra.models.source import Source
from astra.pipelines.astronn_dist.distances.distance import NAMES, Stars
from astra.pipelines.astronn_dist.distances.results import OF_CLEAN, OF_GAIA, Columns, derive
from astra.pipelines.astronn_dist.estimating import BATCH, N_DRAWS, load_model
from astra.pipelines.astronn_dist.network.sampling import choose_device
from astra.pipelines.astronn_dist.weights import former
from astra.pipelines.astronn_dist.weights.files import identify, load_weights, range_of
from astra.pipelines.astronn_dist.weights.library import chosen_weights
from astra.spectra.combined import CombinedSpectrum
from astra.spectra.coverage import Coverage, coverage_of
from astra.spectra.grid import N_GRID
from astra.tasks.contract import GoingOn, Provenance, task
from astra.tasks.inputs import negated
from astra.tasks.options import Option

log = logging.getLogger("astra")

PRECISION = "float32"
#: What distances have had since there are full errors and parallaxes (migrations 0005 and 0014), and reasons
#: why they are not clean (0015).
ADDED = (
    *("e_dist_full", "dist_lo", "dist_hi", "nn_parallax", "e_nn_parallax", "e_model_nn_parallax"),
    *(*OF_GAIA, "parallax_pull", *OF_CLEAN),
)
_WITHOUT_EFFECT = "Without effect: a keyword of upstream."


@task
def astronn_dist(
    spectra: Iterable[ApogeeCoaddedSpectrumInApStar | ApogeeCombinedSpectrum],
    *,
    weights: str | None = None,
    n_draws: Annotated[int, Option(min=2)] = N_DRAWS,
    seed: Annotated[int, Option(min=0, max=2**63 - 1)] = 0,
    device: Annotated[Literal["auto", "cpu", "cuda"], Option(changes_numbers=False)] = "auto",
    batch_size: Annotated[int, Option(min=1, changes_numbers=False)] = BATCH,
    backend: Literal["astra", "astronn"] = "astra",
    # Numbers change with the weights, which are known by their checksum.
    model_path: Annotated[str | None, Option("Upstream's name of --weights.", changes_numbers=False)] = None,
    parallel: Annotated[bool | None, Option(_WITHOUT_EFFECT, changes_numbers=False)] = None,
    cpu_count: Annotated[int | None, Option(_WITHOUT_EFFECT, changes_numbers=False)] = None,
) -> Iterator[AstroNNdist]:
    """Estimate a heliocentric distance from each co-added APOGEE spectrum.

    Args:
        spectra: Spectra with their sources.
        weights: A path or a name; ``None`` takes the configured ones.
        n_draws: Monte Carlo dropout draws per spectrum.
        seed: Combined with the identity of the data product, so that a row depends on neither the
            batch size nor the order nor the database.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        batch_size: Spectra read and rectified together.
        backend: What rectifies: this package, or astroNN's own function (extra ``[astronn]``).
        model_path, parallel, cpu_count: Upstream's keywords: ``weights``, and two without effect.

    Yields:
        One unsaved row per spectrum, in order, whether or not it could be read.

    Raises:
        ConfigError: The weights cannot be used, or there is no such device; before any spectrum.
    """
    weights = _upstreams(weights, model_path, parallel=parallel, cpu_count=cpu_count)
    start = time.perf_counter()
    model = load_model(weights, device)
    overhead = time.perf_counter() - start
    estimate = functools.partial(model.estimate, n_draws=n_draws, seed=seed, backend=backend)
    for batch in _read_ahead(spectra, batch_size):
        rows = _measure(batch, estimate, overhead)
        overhead = 0.0
        yield from rows


@astronn_dist.identified_by
def _identify(
    weights: str | None = None,
    seed: int = 0,
    n_draws: int = N_DRAWS,
    model_path: str | None = None,
    **_: Any,
) -> Provenance:
    chosen = chosen_weights(model_path or weights)
    name, sha256 = identify(chosen.path)
    facts = {"weights_range": range_of(chosen.path), "weights_path": str(chosen.path.absolute())}
    return Provenance(name, sha256, seed, n_draws, PRECISION, chosen.origin, **facts)


@astronn_dist.continued_by
def _go_on(
    run: TaskRun, weights: str | None = None, model_path: str | None = None, **_: Any
) -> GoingOn | None:
    """Take the weights of the rows so far, unless others are named."""
    settings = load_settings()
    if (model_path or weights or settings.weights) is not None or run.weights_sha256 is None:
        return None
    found = former.find_again(run.weights_name, run.weights_sha256, run.arguments, settings)
    return GoingOn({"weights": str(found.absolute())}, former.other_default(found, settings))


@astronn_dist.prepared_by
def _prepare(
    weights: str | None = None,
    device: str = "auto",
    backend: str = "astra",
    model_path: str | None = None,
    **_: Any,
) -> None:
    model = load_model(model_path or weights, device)
    # So that a worker compiles and imports what the first spectrum needs before it claims one.
    import astropy.io.fits  # noqa: F401

    flat = np.ones(N_GRID, np.float32)
    anyone = Stars.of({"k_mag": 10.0, "e_k_mag": 0.02}, 1)
    spectrum = CombinedSpectrum(flat, flat, np.zeros(N_GRID, np.int32))
    model.estimate([spectrum], [""], anyone, n_draws=2, backend=backend)


@astronn_dist.checked_by
def _check(weights: str | None = None, device: str = "auto", model_path: str | None = None, **_: Any) -> None:
    choose_device(device)
    load_weights(chosen_weights(model_path or weights).path)


def to_correct() -> peewee.Expression:
    """Whether a result rests on other values than it should, though nobody has said that its star changed."""
    return changed_by_hand() | has_raw_mean() | has_unseen_coverage()


def has_unseen_coverage() -> peewee.Expression:
    """Whether the coverage of a result was filled in after its ``not_clean`` was derived without it."""
    unseen = fn.COALESCE(AstroNNdist.flag_not_checked_coverage, False)
    return unseen & AstroNNdist.coverage.is_null(False)


def has_raw_mean() -> peewee.Expression:
    """Whether a parallax of Gaia with an unknown zero-point is in the mean, as a version before this left it.

    The mean of one parallax may differ from it in its last digit.
    """
    row = AstroNNdist
    is_mean_of_one = fn.ABS(row.weighted_parallax - row.nn_parallax) <= 1e-9 * row.nn_parallax
    return (
        without_zero_point()
        & row.weighted_parallax.is_null(False)
        & negated(fn.COALESCE(is_mean_of_one, False))
    )


def changed_by_hand() -> peewee.Expression:
    """Whether a result rests on another Ks or E(B-V) than its star has now.

    Who changes these by hand need not think of ``modified``.
    """
    row = AstroNNdist
    other_k_mag = _differs(row.k_mag, row.flag_missing_photometry, Source.k_mag, SMALLEST_K_MAG)
    other_ebv = _differs(row.ebv, row.flag_missing_extinction, Source.ebv, 0)
    return ~row.flag_no_result & (other_k_mag | other_ebv)


def _differs(used: peewee.Field, was_missing: Any, value: peewee.Field, low: float) -> peewee.Expression:
    """Whether the value that a result used, 0 where it was missing, is not that of the source."""
    usable = (value > low) & (value < FILLER)
    other_value = used != peewee.Case(None, [(usable, value)], 0.0)
    return other_value | (peewee.Case(None, [(was_missing, 1)], 0) != peewee.Case(None, [(usable, 0)], 1))


@astronn_dist.rederived_by(to_correct, fills={"distances": ADDED})
def rederive(rows: list[AstroNNdist], sources: list[Source | None]) -> None:
    """Compute distances and parallaxes from the stored luminosities and the current values of the sources."""
    names = ("L_fakemag", "e_L_fakemag", "e_model_L_fakemag")
    luminosity = np.array([[getattr(row, name) for row in rows] for name in names], float)
    measured = np.array([not row.flag_no_result for row in rows], bool)
    detectors = np.array([[getattr(row, name) for row in rows] for name in Coverage._fields[1:]], float)
    _fill(rows, derive(luminosity, measured, _stars(sources), detectors=detectors))


@astronn_dist.filled_by("coverage", columns=Coverage._fields)
def cover(spectrum: ApogeeSpectrum) -> Coverage:
    """Read a spectrum, and count its pixels."""
    return coverage_of(spectrum.read())


@astronn_dist.noted_by(
    "weighted_* of {:,} results leave Gaia out: no zero-point (unknown release, G or colour out of range, or "
    "made before zero-points were estimated: `astra run astronn_dist --fill distances`)"
)
def without_zero_point() -> peewee.Expression:
    """Whether the star of a result has a Gaia parallax with an unknown zero-point."""
    return AstroNNdist.gaia_parallax.is_null(False) & AstroNNdist.plx_zero_point.is_null()


@astronn_dist.watched_by(
    "Difference of the parallaxes from spectrum and Gaia, without its sign, over both errors together"
)
def pull(spectra: type[BaseModel]) -> peewee.Expression:
    """The difference against Gaia in units of its error; NULL where there is no parallax from Gaia."""
    row = AstroNNdist
    difference = fn.ABS(row.nn_parallax - row.gaia_parallax)
    variance = row.e_nn_parallax * row.e_nn_parallax + row.e_gaia_parallax * row.e_gaia_parallax
    return difference / fn.SQRT(fn.NULLIF(variance, 0.0))


@astronn_dist.watched_by("Error of the distance, over the distance")
def relative_e_dist(spectra: type[BaseModel]) -> peewee.Expression:
    """The relative error of the distance."""
    return AstroNNdist.e_dist / fn.NULLIF(AstroNNdist.dist, 0.0)


@astronn_dist.watched_by("Signal-to-noise ratio of the spectrum")
def snr(spectra: type[BaseModel]) -> peewee.Field:
    """The signal-to-noise ratio of the spectrum."""
    return spectra.snr


@dataclass
class _Read:
    """One spectrum on its way: its row, its pixels, the seconds it took."""

    spectrum: ApogeeSpectrum
    row: AstroNNdist
    pixels: CombinedSpectrum | None = None
    seconds: float = 0.0


def _measure(batch: list[_Read], estimate: Callable[..., Columns], overhead: float) -> list[AstroNNdist]:
    """The rows of one batch; ``overhead`` [s] is the time before it that belongs to no single spectrum."""
    start = time.perf_counter()
    identities = [item.spectrum.product_id for item in batch]
    stars = _stars([item.spectrum.source for item in batch])
    _fill([item.row for item in batch], estimate([item.pixels for item in batch], identities, stars))
    spent = time.perf_counter() - start
    measured = sum(not item.row.flag_no_result for item in batch)
    if not measured:
        overhead += spent
    for item in batch:
        if item.row.flag_no_result and item.pixels is not None:
            _fail(item, UnusableSpectrum(f"no usable pixel: {item.spectrum.path}"))
        item.row.t_elapsed = item.seconds + (0.0 if item.row.flag_no_result else spent / measured)
        item.row.t_overhead = overhead / len(batch)
    return [item.row for item in batch]


def _read(spectrum: ApogeeSpectrum) -> _Read:
    item = _Read(spectrum, AstroNNdist.from_spectrum(spectrum))
    start = time.perf_counter()
    try:
        item.pixels = spectrum.read()
    except SpectrumError as error:
        _fail(item, error)
    item.seconds = time.perf_counter() - start
    return item


def _fail(item: _Read, error: SpectrumError) -> None:
    log.warning("spectrum %s: %s", item.spectrum.spectrum_pk, error)
    setattr(item.row, error.flag, True)
    item.row.no_result_reason = str(error)
    item.row.file_lost = isinstance(error, MissingSpectrum)


def _stars(sources: list[Source | None]) -> Stars:
    """What the sources say; a spectrum without one has a star of which nothing is known."""
    values = {name: [getattr(source, name, None) for source in sources] for name in NAMES}
    return Stars.of(values, len(sources))


def _fill(rows: list[AstroNNdist], columns: Columns) -> None:
    for name, values in columns.items():
        for row, value in zip(rows, values.tolist(), strict=True):
            setattr(row, name, value)


def _read_ahead(spectra: Iterable[ApogeeSpectrum], size: int) -> Iterator[list[_Read]]:
    """Batches of spectra, each read while the caller computes the batch before it.

    Only the files are read in another thread; the iterable of spectra is consumed in this one.
    """
    spectra = iter(spectra)
    with ThreadPoolExecutor(1, "astra-reader") as reader:

        def begin() -> "list[Future[_Read]]":
            return [reader.submit(_read, spectrum) for spectrum in itertools.islice(spectra, size)]

        batch = begin()
        try:
            while batch:
                following = begin()
                yield [future.result() for future in batch]
                batch = following
        finally:
            reader.shutdown(cancel_futures=True)


def _upstreams(weights: str | None, model_path: str | None, **without_effect: Any) -> str | None:
    """The weights to use, after a warning for each keyword of upstream that has lost its meaning."""
    if model_path is not None:
        warnings.warn("model_path is now called weights", DeprecationWarning, stacklevel=3)
    for name, value in without_effect.items():
        if value is not None:
            warnings.warn(f"{name} has no effect any more", DeprecationWarning, stacklevel=3)
    return model_path or weights
