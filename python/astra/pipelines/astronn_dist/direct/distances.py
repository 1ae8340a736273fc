"""Distances of stars whose spectra are at hand, as arrays or files; no database is opened."""

from pathlib import Path
from typing import Any

import numpy as np

from astra.pipelines.astronn_dist.direct.inputs import identities_from, seed_from, spectra_from, star_values
from astra.pipelines.astronn_dist.direct.result import StarDistance
from astra.pipelines.astronn_dist.distances.results import WeightsFrom
from astra.pipelines.astronn_dist.distances.stars import NAMES, Stars
from astra.pipelines.astronn_dist.estimating import BATCH, N_DRAWS, chosen_weights, load_model
from astra.spectra.apstar import CombinedSpectrum


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

    The numbers are those that ``astra run`` gives the same spectrum under the same identity.

    Args:
        flux: Flux, shape (8575,) or (N, 8575) [1e-17 erg / (s cm2 Angstrom)]; or a ``Spectrum`` of specutils,
            with its uncertainty and its mask, as far as the next two are not given.
        e_flux: Errors of the flux, same shape and unit; a pixel whose error is not positive has no weight.
        pixel_flags: APOGEE pixel mask, integers of the same shape.
        k_mag: 2MASS Ks magnitude, for all stars or one for each [mag]; ``None`` or NaN: missing, flagged.
        ebv: Reddening E(B-V), likewise [mag].
        identity: A name for each spectrum, which decides with the seed on the dropout masks: the
            ``product_id`` gives the numbers of the database. ``None`` takes a BLAKE2b hash of the pixels.
        seed: Seed of the dropout masks, from 0 to 2**63 - 1.
        weights: A path or a name; ``None`` takes the configured ones, else the embedded default.
        n_draws: Monte Carlo dropout draws per spectrum, at least 2.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        weights_from: Which error of the spectrum counts in ``weighted_parallax``: the ``"total"`` one, or
            the ``"model"`` part, as in upstream's catalogue.
        **star: Whatever else is known, named as in the table of sources: ``e_k_mag``, ``e_ebv``, ``plx``,
            ``e_plx``, ``gaia_release``, ``ra``, ``dec``, ``g_mag``, ``nu_eff_used_in_astrometry``,
            ``pseudocolour``, ``astrometric_params_solved``.

    Raises:
        ValueError: An array has another shape, or holds no numbers; the seed is not one.
        TypeError: A keyword is unknown.
        ConfigError: The weights cannot be used, or there is no such device.
        UsageError: Fewer than 2 draws, or unknown ``weights_from``.
    """
    spectra, single = spectra_from(flux, e_flux, pixel_flags)
    stars = Stars.of(star_values({"k_mag": k_mag, "ebv": ebv} | star, len(spectra)), len(spectra))
    names = identities_from(identity, spectra, single)
    options = {"n_draws": n_draws, "seed": seed_from(seed), "weights_from": weights_from}
    return _estimated(spectra, names, stars, single, weights, device, options)


def distance_from_apstar(
    path: str | Path,
    k_mag: Any = None,
    ebv: Any = None,
    *,
    release: str | None = None,
    seed: int = 0,
    weights: str | None = None,
    n_draws: int = N_DRAWS,
    device: str = "auto",
    weights_from: WeightsFrom = "total",
    **star: Any,
) -> StarDistance:
    """Estimate the distance of the star of an apStar or asStar file.

    Magnitudes, coordinates and, from DR14 to DR17, the reddening come from the header, as far as they are
    not given; the identity is the ``product_id`` that ``astra ingest apstar`` gives the file. So the numbers
    equal those of ``astra run``.

    Args:
        path: The file, named as in the survey.
        k_mag, ebv, star: As for ``distance``; each goes before the header. One that is absent (``None``, NaN,
            a filler) leaves the value of the header.
        release: The data release of reductions that do not tell it themselves, e.g. ``"dr19"``.
        seed, weights, n_draws, device, weights_from: As for ``distance``.

    Raises:
        SpectrumError: The file is not there, or does not hold an apStar spectrum.
        UsageError: The file is not named like one, or its reduction does not tell its release.
        ValueError, TypeError, ConfigError: As for ``distance``.
    """
    from astra.ingest.headers import described
    from astra.ingest.values import clean
    from astra.spectra.apstar import opened

    with opened(path) as file:
        spectrum, header = file.combined(), file.header()
    record = described(path, header, release=release)
    given = star_values({"k_mag": k_mag, "ebv": ebv} | star, 1)
    known = {name: value for name, value in record.star.items() if name in NAMES}
    # As in a catalogue: what is blank leaves the value of the header.
    known |= {name: value for name, value in given.items() if clean(name, np.ravel(value)[0]) is not None}
    stars = Stars.of(known, 1)
    options = {"n_draws": n_draws, "seed": seed_from(seed), "weights_from": weights_from}
    return _estimated([spectrum], [record.product.product_id], stars, True, weights, device, options)


def _estimated(
    spectra: list[CombinedSpectrum],
    identities: list[str],
    stars: Stars,
    single: bool,
    weights: str | None,
    device: str,
    options: dict[str, Any],
) -> StarDistance:
    from astra import __version__
    from astra.pipelines.astronn_dist.weights.files import identify

    model = load_model(weights, device)
    parts = []
    for start in range(0, max(len(spectra), 1), BATCH):
        part = slice(start, start + BATCH)
        parts.append(model.estimate(spectra[part], identities[part], stars[part], **options))
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    name, sha256 = identify(chosen_weights(weights).path)
    meta = {"weights": name, "weights_sha256": sha256, "version": __version__} | options
    return StarDistance.of(columns, meta, single)
