"""Distances without a database: what the task computes, for one star or for arrays of them."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from astra.models.astronn_dist import AstroNNdist, Distance, not_clean_starflags
from astra.models.fields import flags_of
from astra.pipelines.astronn_dist.distances.distance import NAMES, Stars
from astra.pipelines.astronn_dist.distances.results import WeightsFrom
from astra.pipelines.astronn_dist.estimating import BATCH, N_DRAWS, load_model
from astra.pipelines.astronn_dist.inputs import identities_from, seed_from, spectra_from, star_values
from astra.pipelines.astronn_dist.weights.files import identify
from astra.pipelines.astronn_dist.weights.library import chosen_weights
from astra.spectra.apstar import ApStarFile
from astra.spectra.combined import CombinedSpectrum
from astra.system.version import __version__

if TYPE_CHECKING:
    from astropy.table import QTable
    from astropy.units import Quantity


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
) -> "StarDistance":
    """Estimate the distance of one star, or of N stars, from spectra on the apStar grid.

    The numbers equal those of ``astra run`` for the same spectrum under the same identity.

    Args:
        flux: Flux, shape (8575,) or (N, 8575) [1e-17 erg / (s cm2 Angstrom)]; or a ``Spectrum`` of specutils,
            with its uncertainty and its mask, as far as the next two are not specified.
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
            ``e_plx``, ``gaia_release``, what the zero-point of the parallax follows from (``ra``, ``dec``,
            ``g_mag``, ``nu_eff_used_in_astrometry``, ``pseudocolour``, ``astrometric_params_solved``,
            ``bp_mag``, ``rp_mag``, ``j_mag``), and what ``clean`` looks at besides (``e_j_mag``, ``h_mag``,
            ``e_h_mag``, ``ph_qual``, ``cc_flg``, ``ebv_flags``, ``ruwe``). STARFLAG is not known, and counts
            as 0 in ``clean``.

    Raises:
        ValueError: An array has another shape, or holds no numbers; the seed is not one.
        TypeError: A keyword is unknown.
        ConfigError: The weights cannot be used, or there is no such device.
        UsageError: Fewer than 2 draws, or unknown ``weights_from``.
    """
    spectra, single = spectra_from(flux, e_flux, pixel_flags)
    stars = Stars.of(star_values({"k_mag": k_mag, "ebv": ebv} | star, len(spectra)), len(spectra))
    names = identities_from(identity, spectra, single)
    options = {"n_draws": n_draws, "seed": seed, "weights_from": weights_from}
    return _estimated(spectra, names, stars, single, weights, device, **options)


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
) -> "StarDistance":
    """Estimate the distance of the star of an apStar or asStar file.

    Magnitudes, coordinates and, from DR14 to DR17, the reddening come from the header, as far as they are
    not specified; the identity is the ``product_id`` that ``astra ingest apstar`` assigns to the file. So
    the numbers equal those of ``astra run``. STARFLAG of the header counts in ``clean``.

    Args:
        path: The file, named as in the survey.
        k_mag, ebv, star: As for ``distance``; each takes precedence over the header. One that is absent
            (``None``, NaN, a filler) leaves the value of the header.
        release: The data release, for reductions that do not imply it, e.g. ``"dr19"``.
        seed, weights, n_draws, device, weights_from: As for ``distance``.

    Raises:
        SpectrumError: The file is not there, or does not hold an apStar spectrum.
        UsageError: The file is not named like one, or its reduction does not imply a release.
        ValueError, TypeError, ConfigError: As for ``distance``.
    """
    from astra.ingest.headers import described
    from astra.ingest.values import clean

    with ApStarFile.opened(path) as file:
        spectrum, header = file.combined(), file.header()
    record = described(path, header, release=release)
    specified = star_values({"k_mag": k_mag, "ebv": ebv} | star, 1)
    known = {name: value for name, value in record.star.items() if name in NAMES}
    # As in a catalogue: what is blank leaves the value of the header.
    given = {name: each for name, each in specified.items() if clean(name, np.ravel(each)[0]) is not None}
    # What describes a reddening goes with it.
    of_header = {"e_ebv", "ebv_flags"} if "ebv" in given else set()
    known = {name: each for name, each in known.items() if name not in of_header} | given
    stars = Stars.of(known, 1)
    options = {"n_draws": n_draws, "seed": seed, "weights_from": weights_from}
    found = _estimated([spectrum], [record.product.product_id], stars, True, weights, device, **options)
    unfit = Distance.NOT_GOOD | not_clean_starflags(record.product.release)
    starflag = record.spectrum.get("spectrum_flags") or 0
    return dataclasses.replace(found, clean=found.clean and starflag & unfit == 0)


def _estimated(
    spectra: list[CombinedSpectrum],
    identities: list[str],
    stars: Stars,
    single: bool,
    weights: str | None,
    device: str,
    **options: Any,
) -> "StarDistance":
    options["seed"] = seed_from(options["seed"])
    model = load_model(weights, device)
    slices = [slice(start, start + BATCH) for start in range(0, max(len(spectra), 1), BATCH)]
    parts = [model.estimate(spectra[part], identities[part], stars[part], **options) for part in slices]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    name, sha256 = identify(chosen_weights(weights).path)
    meta = {"weights": name, "weights_sha256": sha256, "version": __version__} | options
    return StarDistance.of(columns, meta, single)


@dataclass(frozen=True, eq=False)
class StarDistance:
    """Distance, parallaxes and flags of one star, or of N stars.

    Every attribute but ``meta`` is named like the column of the view ``distances`` that it equals. Numbers
    are quantities, NaN where absent, texts are ``None`` where absent, flags are bool and ``result_flags``
    holds their bits, as ``not_clean`` and ``not_checked`` do those of the reasons: scalars for one star,
    arrays of shape (N,) for N.

    Attributes:
        meta: What the numbers depend on besides the spectrum and the star: weights, their SHA-256, seed,
            draws, the version of Astra.
    """

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
    plx_zero_point_origin: str | np.ndarray | None
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
    best_dist_from: str | np.ndarray | None
    coverage: "Quantity"
    coverage_blue: "Quantity"
    coverage_green: "Quantity"
    coverage_red: "Quantity"
    result_flags: int | np.ndarray
    flag_fakemag_unreliable: bool | np.ndarray
    flag_missing_photometry: bool | np.ndarray
    flag_missing_extinction: bool | np.ndarray
    flag_no_result: bool | np.ndarray
    flag_bad: bool | np.ndarray
    flag_warn: bool | np.ndarray
    not_clean: int | np.ndarray
    not_checked: int | np.ndarray
    gaia_checked: bool | np.ndarray
    clean: bool | np.ndarray
    meta: Mapping[str, Any]

    @classmethod
    def of(cls, columns: Mapping[str, np.ndarray], meta: Mapping[str, Any], single: bool) -> "StarDistance":
        """From the columns that ``derive`` returns, shape (N,); with scalars if there is a single star."""
        from astropy.units import Quantity

        flags = flags_of(AstroNNdist, "result_flags")
        bits = sum(flag.value * columns[name] for name, flag in flags.items())
        bad, warn = ((bits & mask) != 0 for mask in (AstroNNdist.BAD, AstroNNdist.WARN))
        summaries = {
            "result_flags": bits,
            "flag_bad": bad,
            "flag_warn": warn,
            "gaia_checked": columns["not_checked"] & AstroNNdist.flag_not_checked_gaia.value == 0,
            "clean": ~bad & (columns["not_clean"] == 0),
        }
        values = {}
        for name, array in {**columns, **summaries}.items():
            if array.dtype == object:
                values[name] = array[0] if single else array
            elif array.dtype.kind == "f":
                values[name] = Quantity(array[0] if single else array, AstroNNdist._meta.fields[name].unit)
            else:
                values[name] = array[0].item() if single else array
        return cls(**values, meta=MappingProxyType(dict(meta)))

    def to_table(self) -> "QTable":
        """A table of one row for each star, with units and descriptions; ``meta`` goes into its ``meta``."""
        from astropy.table import MaskedColumn, QTable

        table = QTable(meta=dict(self.meta))
        for field in dataclasses.fields(self)[:-1]:
            values = np.atleast_1d(getattr(self, field.name))
            if values.dtype.kind in "OU":  # a column of objects cannot be written to a file
                values = MaskedColumn([text or "" for text in values], mask=[not text for text in values])
            table[field.name] = values
            column = getattr(AstroNNdist, field.name, None) or getattr(Distance, field.name)
            table[field.name].info.description = getattr(column, "help_text", None)
        return table
