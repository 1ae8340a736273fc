"""Distances without a database: what the task computes, for one star or for arrays of them."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from astra.errors import AstraWarning
from astra.pipelines.astronn_dist.distances.distance import NAMES, Stars
from astra.pipelines.astronn_dist.distances.results import Columns, WeightsFrom
from astra.pipelines.astronn_dist.estimating import BATCH, N_DRAWS, Model, load_model
from astra.pipelines.astronn_dist.weights.files import identify
from astra.pipelines.astronn_dist.weights.library import chosen_weights
from astra.spectra.combined import CombinedSpectrum
from astra.stars.files import Files, StarOfFile
from astra.stars.inputs import identities_from, seed_from, spectra_from, star_values
from astra.stars.star_distance import StarDistance
from astra.system.version import __version__


def distance(
    flux: Any,
    e_flux: Any = None,
    pixel_flags: Any = None,
    k_mag: Any = None,
    ebv: Any = None,
    *,
    identity: Any = None,
    seed: int = 0,
    weights: str | None = None,
    n_draws: int = N_DRAWS,
    device: str = "auto",
    weights_from: WeightsFrom = "total",
    **star: Any,
) -> StarDistance:
    """Estimate the distance of one star, or of N stars, from spectra on the apStar grid.

    The numbers equal those of ``astra run`` for the same spectrum under the same identity.

    Args:
        flux: Flux, shape (8575,) or (N, 8575) [1e-17 erg / (s cm2 Angstrom)]; or a ``Spectrum`` of specutils,
            with its uncertainty and its mask, as far as the next two are not specified; or what
            ``read_combined`` returns.
        e_flux: Errors of the flux, same shape and unit; a pixel whose error is not positive has no weight.
        pixel_flags: APOGEE pixel mask, integers of the same shape.
        k_mag: 2MASS Ks magnitude, for all stars or one for each [mag]; ``None`` or NaN: missing, flagged.
        ebv: Reddening E(B-V), likewise [mag]; or ``a_k``, the extinction in Ks.
        identity: A name for each spectrum, which decides with the seed on the dropout masks: the
            ``product_id`` gives the numbers of the database. ``None`` takes a BLAKE2b hash of the pixels.
        seed: Seed of the dropout masks, from 0 to 2**63 - 1.
        weights: A path or a name; ``None`` takes the configured ones, else the embedded default.
        n_draws: Monte Carlo dropout draws per spectrum, at least 2.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        weights_from: Which error of the spectrum counts in ``weighted_parallax``: the ``"total"`` one, or
            the ``"model"`` part, as in upstream's catalogue.
        **star: Whatever else is known, named as in the table of sources: ``e_k_mag``, ``e_ebv`` (or
            ``e_a_k``), ``plx``, ``e_plx``, ``gaia_release``, what the zero-point of the parallax follows from
            (``ra``, ``dec``, ``g_mag``, ``nu_eff_used_in_astrometry``, ``pseudocolour``,
            ``astrometric_params_solved``, ``bp_mag``, ``rp_mag``, ``j_mag``), and what ``clean`` looks at
            besides (``e_j_mag``, ``h_mag``, ``e_h_mag``, ``ph_qual``, ``cc_flg``, ``ebv_flags``, ``ruwe``).
            STARFLAG is not known, and counts as 0 in ``good`` and ``clean``.

    Warns:
        AstraWarning: The Ks magnitude of a star is missing, so that its distance means nothing.

    Raises:
        ValueError: An array has another shape, or holds no numbers; the seed is not one.
        TypeError: A keyword is unknown, or says the same as another one.
        ConfigError: The weights cannot be used, or there is no such device.
        UsageError: Fewer than 2 draws, or unknown ``weights_from``.
    """
    spectra, single = spectra_from(flux, e_flux, pixel_flags)
    stars = Stars.of(star_values({"k_mag": k_mag, "ebv": ebv} | star, len(spectra)), len(spectra))
    names = identities_from(identity, spectra, single)
    how = How(
        seed=seed_from(seed), weights=weights, n_draws=n_draws, device=device, weights_from=weights_from
    )
    parts = (_Part(spectra[part], names[part], stars[part], spectra[part]) for part in _slices(len(spectra)))
    found = _estimated(parts, how)
    _warn_of_missing(found)
    return found[0] if single else found


def distance_from_apstar(
    path: str | Path | Sequence[str | Path],
    k_mag: Any = None,
    ebv: Any = None,
    *,
    catalog: str | Path | None = None,
    release: str | None = None,
    seed: int = 0,
    weights: str | None = None,
    n_draws: int = N_DRAWS,
    device: str = "auto",
    weights_from: WeightsFrom = "total",
    **star: Any,
) -> StarDistance:
    """Estimate the distance of the star of an apStar or asStar file, or those of the stars of several.

    Magnitudes, coordinates and, from DR14 to DR17, the reddening come from the header, as far as they are
    not specified; the identity is the ``product_id`` that ``astra ingest apstar`` assigns to the file. So
    the numbers equal those of ``astra run``. STARFLAG of the header counts in ``good`` and ``clean``.

    Args:
        path: The file, named as in the survey, or a list of files. Of a list, a file that cannot be read
            makes a result with ``flag_no_result``, as in a run.
        k_mag, ebv, star: As for ``distance``; each takes precedence over header and catalogue. One that is
            absent (``None``, NaN, a filler) leaves their value.
        catalog: A table of stars, read as by ``astra ingest --catalog``: its values take precedence over
            those of the header.
        release: The data release, for reductions that do not imply it, e.g. ``"dr19"``.
        seed, weights, n_draws, device, weights_from: As for ``distance``.

    Warns:
        AstraWarning: As ``distance``, and of files that cannot be read.

    Raises:
        SpectrumError: The only file is not there, or does not hold an apStar spectrum.
        UsageError: A file is not named like one, or its reduction does not imply a release; the catalogue
            cannot be read.
        ValueError, TypeError, ConfigError: As for ``distance``.
    """
    paths = [path] if isinstance(path, (str, Path)) else list(path)
    single = isinstance(path, (str, Path))
    specified = star_values({"k_mag": k_mag, "ebv": ebv} | star, len(paths))
    how = How(
        seed=seed_from(seed), weights=weights, n_draws=n_draws, device=device, weights_from=weights_from
    )
    files = Files(paths, specified, catalog, release, strict=single)
    found = distances_of_files(files, how)
    if unreadable := [reason for reason in found.no_result_reason if reason]:
        warnings.warn(f"{len(unreadable)} of {len(paths)} files: {unreadable[0]}", AstraWarning, stacklevel=2)
    _warn_of_missing(found)
    return found[0] if single else found


@dataclass(frozen=True, kw_only=True)
class How:
    """What numbers depend on besides spectra and stars; the arguments of ``distance``."""

    seed: int = 0
    weights: str | None = None
    n_draws: int = N_DRAWS
    device: str = "auto"
    weights_from: WeightsFrom = "total"


def distances_of_files(
    files: Files, how: How, on_progress: Callable[[int, int], None] | None = None
) -> StarDistance:
    """As ``distance_from_apstar`` of a list, without its warnings.

    Args:
        files: The files, and what is known of their stars.
        how: What the numbers depend on besides.
        on_progress: Called with the number of stars that are done, and of all.

    Raises:
        SpectrumError: A file cannot be read, and this is an error.
        UsageError, ConfigError: As for ``distance_from_apstar``.
    """

    def parts() -> Iterator[_Part]:
        for part in _slices(count := len(files.paths)):
            if on_progress:
                on_progress(part.start, count)
            yield _part_of(list(files[part]))
        files.warn()

    return _estimated(parts(), how)


@dataclass(frozen=True)
class _Part:
    """Some spectra that are estimated together, and what is known of them besides their stars."""

    pixels: Sequence[CombinedSpectrum | None]
    identities: Sequence[str]
    stars: Stars
    spectra: Sequence[CombinedSpectrum | str]
    known: Mapping[str, Sequence[Any]] = field(default_factory=dict)


_TEXTS = ("sdss4_apogee_id", "release", "no_result_reason")


def _part_of(read: Sequence[StarOfFile]) -> _Part:
    stars = Stars.of({name: [star.values.get(name) for star in read] for name in NAMES}, len(read))
    known: dict[str, list[Any]] = {
        "sdss4_apogee_id": [star.record.apogee_id for star in read],
        "release": [star.record.product.release for star in read],
        "spectrum_flags": [star.record.spectrum.get("spectrum_flags") or 0 for star in read],
        "no_result_reason": [star.reason for star in read],
    }
    identities = [star.record.product.product_id for star in read]
    return _Part([star.spectrum for star in read], identities, stars, [star.path for star in read], known)


def _estimated(parts: Iterable[_Part], how: How) -> StarDistance:
    model = load_model(how.weights, how.device)
    options = {"n_draws": how.n_draws, "seed": how.seed, "weights_from": how.weights_from}
    found = [_columns(part, model, options) for part in parts]
    columns = {name: np.concatenate([each[name] for each in found]) for name in found[0]}
    name, sha256 = identify(chosen_weights(how.weights).path)
    return StarDistance.of(
        columns, {"weights": name, "weights_sha256": sha256, "version": __version__} | options
    )


def _columns(part: _Part, model: Model, options: Mapping[str, Any]) -> Columns:
    count = len(part.identities)
    texts = {name: part.known.get(name, [None] * count) for name in _TEXTS} | {"identity": part.identities}
    objects = {name: _objects(values) for name, values in {**texts, "spectrum": part.spectra}.items()}
    numbers = {
        **{name: part.stars.known(name) for name in ("ra", "dec", "j_mag")},
        "spectrum_flags": np.array(part.known.get("spectrum_flags", [0] * count), np.int64),
    }
    estimated = model.estimate(part.pixels, part.identities, part.stars, keep_draws=True, **options)
    return estimated | objects | numbers


def _objects(values: Sequence[Any]) -> np.ndarray:
    """Any objects as an array, none of which is taken apart."""
    array = np.empty(len(values), object)
    array[:] = values
    return array


def _slices(count: int) -> list[slice]:
    """Parts of N that are estimated together; one that is empty of none."""
    return [slice(start, start + BATCH) for start in range(0, max(count, 1), BATCH)]


def _warn_of_missing(found: StarDistance) -> None:
    if missing := int((found.flag_missing_photometry & ~found.flag_no_result).sum()):
        who = "" if len(found) == 1 else f" of {missing} of {len(found)} stars"
        message = f"the Ks magnitude{who} is missing: its distance means nothing; specify k_mag"
        warnings.warn(message, AstraWarning, stacklevel=3)
