"""The task: reads spectra, has the numbers computed, and fills in rows and flags."""

import functools
import itertools
import logging
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import peewee

from astra.errors import MissingSpectrum, SpectrumError, UnusableSpectrum
from astra.models.apogee import ApogeeCoaddedSpectrumInApStar
from astra.models.astronn_dist import AstroNNdist
from astra.models.source import Source
from astra.photometry import FILLER, SMALLEST_K_MAG
from astra.pipelines.astronn_dist import distance
from astra.pipelines.astronn_dist.continuum_pixels import N_PIXELS
from astra.pipelines.astronn_dist.devices import choose_device
from astra.pipelines.astronn_dist.rectify import rectify, usable
from astra.tasks import Provenance, task

if TYPE_CHECKING:
    from astra.pipelines.astronn_dist.finding import Chosen
    from astra.pipelines.astronn_dist.sampling import Network, Prediction
    from astra.pipelines.astronn_dist.validity import Validity
    from astra.products.apstar import CombinedSpectrum

log = logging.getLogger("astra")

N_DRAWS = 100
#: Spectra read and rectified together, while those before them are sampled; the numbers do not depend on it.
BATCH = 32
PRECISION = "float32"


@task
def astronn_dist(
    spectra: Iterable[ApogeeCoaddedSpectrumInApStar],
    *,
    weights: str | None = None,
    n_draws: int = N_DRAWS,
    seed: int = 0,
    device: str = "auto",
    batch_size: int = BATCH,
    backend: str = "astra",
    model_path: str | None = None,
    parallel: bool | None = None,
    cpu_count: int | None = None,
) -> Iterator[AstroNNdist]:
    """Estimate a heliocentric distance from each co-added APOGEE spectrum.

    Args:
        spectra: Spectra with their sources.
        weights: A path or a name; ``None`` takes the configured ones.
        n_draws: Monte Carlo dropout draws per spectrum, at least 2.
        seed: Combined with the identity of the data product, so that a row depends on neither the
            batch size nor the order nor the database.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        batch_size: Spectra read and rectified together.
        backend: Who rectifies: ``"astra"``, or ``"astronn"`` for the astroNN package (extra ``[astronn]``).
        model_path, parallel, cpu_count: Upstream's keywords: ``weights``, and two without effect.

    Yields:
        One unsaved row per spectrum, in order, whether or not it could be read.

    Raises:
        ConfigError: The weights cannot be used, or there is no such device; before any spectrum.
    """
    weights = _upstreams(weights, model_path, parallel=parallel, cpu_count=cpu_count)
    start = time.perf_counter()
    network, validity = _model(weights, choose_device(device))
    overhead = time.perf_counter() - start

    def predict(arrays: tuple[np.ndarray, ...], identities: list[str]) -> "Prediction":
        from astra.pipelines.astronn_dist.sampling import sample
        from astra.pipelines.astronn_dist.validity import widened

        flux, e_flux = rectify(*arrays, backend=backend)
        found = sample(network, flux, identities, n_draws=n_draws, seed=seed)
        return found if validity is None else widened(found, flux, e_flux, validity)

    for batch in _read_ahead(spectra, batch_size):
        rows = _measure(batch, predict, overhead)
        overhead = 0.0
        yield from rows


@astronn_dist.identified_by
def _identify(weights: str | None = None, seed: int = 0, n_draws: int = N_DRAWS, **_: Any) -> Provenance:
    from astra.pipelines.astronn_dist.weights import identify, range_of

    chosen = _chosen(weights)
    name, sha256 = identify(chosen.path)
    return Provenance(name, sha256, seed, n_draws, PRECISION, chosen.origin, range_of(chosen.path))


@astronn_dist.prepared_by
def _prepare(weights: str | None = None, device: str = "auto", **_: Any) -> None:
    network, _ = _model(weights, choose_device(device))
    # What is compiled at the first draw is kept, and found by the workers that start after this.
    network.draw(np.ones((1, N_PIXELS), np.float32), [""], 2, 0)


def photometry_changed() -> peewee.Expression:
    """Whether a result rests on other photometry, extinction or source than its spectrum has now."""
    row, spectrum = AstroNNdist, ApogeeCoaddedSpectrumInApStar
    k_usable = (Source.k_mag > SMALLEST_K_MAG) & (Source.k_mag < FILLER)
    ebv_usable = (Source.ebv > 0) & (Source.ebv < FILLER)
    k_mag = peewee.Case(None, [(k_usable, Source.k_mag)], 0.0)
    ebv = peewee.Case(None, [(ebv_usable, Source.ebv)], 0.0)
    k_missing, ebv_missing = (peewee.Case(None, [(ok, 0)], 1) for ok in (k_usable, ebv_usable))
    had_none = peewee.Case(None, [(row.flag_missing_photometry, 1)], 0)
    had_no_ebv = peewee.Case(None, [(row.flag_missing_extinction, 1)], 0)
    other_source = peewee.fn.COALESCE(row.source_pk, 0) != peewee.fn.COALESCE(spectrum.source, 0)
    other_value = (
        (row.k_mag != k_mag) | (row.ebv != ebv) | (had_none != k_missing) | (had_no_ebv != ebv_missing)
    )
    return ~row.flag_no_result & (other_value | other_source)


@astronn_dist.rederived_by(photometry_changed)
def rederive(row: AstroNNdist, source: Source | None) -> None:
    """Derive the distance of a row anew from its stored luminosity and the source's photometry."""
    luminosity = np.array([[row.L_fakemag], [row.e_L_fakemag], [row.e_model_L_fakemag]])
    _fill([row], [source], luminosity)


@dataclass
class _Read:
    """One spectrum on its way: its row, its pixels, the seconds it took."""

    spectrum: ApogeeCoaddedSpectrumInApStar
    row: AstroNNdist
    pixels: "CombinedSpectrum | None" = None
    seconds: float = 0.0


def _measure(
    batch: list[_Read],
    predict: Callable[[tuple[np.ndarray, ...], list[str]], "Prediction"],
    overhead: float,
) -> list[AstroNNdist]:
    """The rows of one batch; ``overhead`` [s] is what was spent before it on no spectrum in particular."""
    start = time.perf_counter()
    good = _usable([item for item in batch if item.pixels is not None])
    if good:
        found = predict(_stacked(good), [item.spectrum.product_id for item in good])
        _fill([i.row for i in good], [i.spectrum.source for i in good], _luminosity(found))
    spent = time.perf_counter() - start
    if not good:
        overhead += spent
    for item in batch:
        item.row.t_elapsed = item.seconds + (0.0 if item.row.flag_no_result else spent / len(good))
        item.row.t_overhead = overhead / len(batch)
    return [item.row for item in batch]


def _read(spectrum: ApogeeCoaddedSpectrumInApStar) -> _Read:
    item = _Read(spectrum, AstroNNdist.from_spectrum(spectrum))
    start = time.perf_counter()
    try:
        item.pixels = spectrum.read()
    except SpectrumError as error:
        _fail(item, error)
    item.seconds = time.perf_counter() - start
    return item


def _usable(batch: list[_Read]) -> list[_Read]:
    """Those with a pixel to go by; the others' rows say that they have none."""
    if not batch:
        return []
    good = []
    for item, has_pixels in zip(batch, usable(*_stacked(batch)), strict=True):
        if has_pixels:
            good.append(item)
        else:
            _fail(item, UnusableSpectrum(f"no usable pixel: {item.spectrum.path}"))
    return good


def _fail(item: _Read, error: SpectrumError) -> None:
    log.warning("spectrum %s: %s", item.spectrum.spectrum_pk, error)
    setattr(item.row, error.flag, True)
    item.row.no_result_reason = str(error)
    item.row.file_lost = isinstance(error, MissingSpectrum)


def _stacked(batch: list[_Read]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    pixels = [item.pixels for item in batch]
    return tuple(np.stack([getattr(p, name) for p in pixels]) for name in ("flux", "e_flux", "pixel_flags"))


def _luminosity(found: "Prediction") -> np.ndarray:
    return np.stack([found.fakemag, found.e_fakemag, found.e_model_fakemag])


def _fill(rows: list[AstroNNdist], sources: list[Source | None], luminosity: np.ndarray) -> None:
    """Fill in luminosities ``(3, N)``, distances and flags; every star uses its own photometry."""
    fakemag, e_fakemag, e_model = luminosity
    k_mag, no_k = distance.usable_k_mag(np.array([np.nan if s is None else s.k_mag for s in sources], float))
    ebv, no_ebv = distance.usable_ebv(np.array([np.nan if s is None else s.ebv for s in sources], float))
    a_k_mag = distance.extinction(ebv)
    dist, e_dist = distance.distance(fakemag, e_fakemag, k_mag, a_k_mag)
    _, e_model_dist = distance.distance(fakemag, e_model, k_mag, a_k_mag)
    columns = {
        "k_mag": k_mag,
        "ebv": ebv,
        "A_k_mag": a_k_mag,
        "L_fakemag": fakemag,
        "e_L_fakemag": e_fakemag,
        "e_model_L_fakemag": e_model,
        "dist": dist,
        "e_dist": e_dist,
        "e_model_dist": e_model_dist,
        "flag_fakemag_unreliable": distance.unreliable(fakemag, e_fakemag),
        "flag_missing_photometry": no_k,
        "flag_missing_extinction": no_ebv,
    }
    for name, values in columns.items():
        for row, value in zip(rows, values.tolist(), strict=True):
            setattr(row, name, value)


def _read_ahead(spectra: Iterable[ApogeeCoaddedSpectrumInApStar], size: int) -> Iterator[list[_Read]]:
    """Batches of spectra, each read while whoever asked for the one before it works on that.

    Only the files are read in another thread: where the spectra come from is asked in this one.
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
    return weights if model_path is None else model_path


def _chosen(weights: str | None) -> "Chosen":
    from astra.config import load_settings
    from astra.pipelines.astronn_dist.finding import find_weights

    return find_weights(weights, load_settings())


def _model(weights: str | None, device: str) -> "tuple[Network, Validity | None]":
    from astra.pipelines.astronn_dist.weights import identify

    path = _chosen(weights).path
    _, sha256 = identify(path)
    return _loaded(path, sha256, device)


@functools.lru_cache(maxsize=1)
def _loaded(path: Path, sha256: str, device: str) -> "tuple[Network, Validity | None]":
    # The checksum is part of the key: weights that were replaced on disk are loaded anew.
    from astra.pipelines.astronn_dist.sampling import network_on
    from astra.pipelines.astronn_dist.weights import load_weights

    weights = load_weights(path)
    return network_on(device, weights), weights.validity
