"""Stars with labels from real spectra, and luminosities from something else."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from astropy.io import fits
from clusters import CLUSTERS
from dr12 import on_isochrones_scale
from isochrone_labels import Neighbours, bolometric

from astra.errors import ConfigError
from astra.ingest.values import A_K_PER_EBV
from astra.modelling.simulator.stars import StarColumns

HIPPARCOS = "APOGEE-allStar-v603-Hipparcos.fits.gz"
APOKASC = "APOKASC_Catalog.v7.1.fits"
MESZAROS = "meszaros2013_aj485195t4_mrt_withheader.txt"
TRAINING = "training_apokasc_gc_ind_feh_fix.txt"

#: Errors of the labels: Teff [K], logg [dex], [Fe/H] [dex]. Those that the tables state, in the median; for
#: the clusters what Meszaros et al. (2013, AJ 146, 133) find. Seismic gravities are more precise, but where a
#: star with these labels lies on the isochrones is not known any better.
HIPPARCOS_ERRORS = (91.0, 0.11, 0.05)
APOKASC_ERRORS = (86.0, 0.04, 0.06)
MESZAROS_ERRORS = (100.0, 0.2, 0.1)

#: Index of the gravity in FPARAM, the parameters before any calibration.
RAW_LOGG = 1

# Nearer than 400 pc there is less extinction than this in Ks; larger values come from saturated magnitudes.
LARGEST_A_K = 0.03

# STARFLAG: BAD_PIXELS, VERY_BRIGHT_NEIGHBOR, LOW_SNR; as in `good` of the view `distances`.
BAD_STAR = 1 << 0 | 1 << 3 | 1 << 4

# ASPCAPFLAG: TEFF_BAD to ALPHAFE_BAD, and STAR_BAD to NO_ASPCAP_RESULT; not those of C and N (21, 22).
BAD_LABELS = sum(1 << bit for bit in (16, 17, 18, 19, 20, 23, 24, 25, 26, 27, 31))


@dataclass(frozen=True)
class Labelled(StarColumns):
    """N stars; arrays of shape (N,) if not said."""

    labels: np.ndarray
    """Teff [K], logg [dex], [Fe/H] [dex], [alpha/Fe] [dex], shape (N, 4)."""

    fakemag: np.ndarray
    """Pseudo-luminosity from a parallax, a cluster's distance or a seismic radius [mas]."""

    group: np.ndarray
    """Name of the cluster or the evolutionary state."""

    star: np.ndarray
    """Designation of 2MASS without its prefix, such as ``2M``."""


def read_hipparcos(folder: Path) -> Labelled:
    """Giants of DR12 with parallaxes of Hipparcos; groups "good Ks" and "saturated Ks".

    Selected: logg < 3.5, parallax over ten times its error, valid calibrated labels, none of ``BAD_STAR`` and
    ``BAD_LABELS``, the best spectrum of each star. The extinction is AK_TARG, else AK_WISE (all these were
    observed by the 1 m telescope, for which nothing was targeted), between 0 and 0.03. The labels are put on
    the scale of the isochrones; the selection is by those of the table.
    """
    data = _read(folder / HIPPARCOS)
    column = {
        name: np.asarray(data[name], float)
        for name in ("Plx", "e_Plx", "K", "K_ERR", "AK_TARG", "AK_WISE", "SNR")
    }
    labels = _labels(data, ("TEFF", "LOGG", "FE_H", "PARAM_ALPHA_M"))
    raw_logg = np.asarray(data["FPARAM"], float)[:, RAW_LOGG]
    star, aspcap = (np.asarray(data[name], np.int64) for name in ("STARFLAG", "ASPCAPFLAG"))
    flags = ((star & BAD_STAR) | (aspcap & BAD_LABELS)) != 0
    good = np.isfinite(labels).all(axis=1) & (labels[:, 1] < 3.5) & ~flags
    good &= (column["Plx"] > 10 * column["e_Plx"]) & (column["K"] > -5)
    a_k = np.where(column["AK_TARG"] > -1, column["AK_TARG"], column["AK_WISE"])
    k_mag = column["K"] - np.clip(a_k, 0, LARGEST_A_K)
    rows = _best_of_each(np.asarray(data["APOGEE_ID"]), column["SNR"], good)
    group = np.where(column["K_ERR"] < 0.1, "good Ks", "saturated Ks")
    with np.errstate(over="ignore"):
        fakemag = column["Plx"] * 10 ** (0.2 * k_mag)
    everyone = Labelled(labels, fakemag, group, np.asarray(data["APOGEE_ID"]).astype(str))
    chosen = everyone.take(rows)
    return replace(chosen, labels=on_isochrones_scale(chosen.labels, raw_logg[rows]))


def read_apokasc(folder: Path, isochrones: Neighbours) -> Labelled:
    """Giants with seismic radii; groups "rgb", "red_clump", "unknown" by the catalogue's evolutionary state.

    The labels are those of the catalogue's second scale, whose temperatures and metallicities are calibrated
    and whose gravities are seismic: spectroscopic ones are in the median 0.15 dex too low for the
    first-ascent giants of this sample, and 0.1 dex too high for its clump stars. Radius and temperature
    give the bolometric magnitude; the isochrones, its difference from Ks at these labels.
    """
    data = _read(folder / APOKASC)
    names = ("TEFF_SCALE_2", "KASC_RG_LOGG_SCALE_2", "METAL_SCALE_2", "CORR_ASPCAP ALPHAFE")
    labels = _labels(data, names)
    radius = np.asarray(data["KASC_RG_RADIUS_SCALE_2"], float)
    state = np.char.strip(np.asarray(data["SEISMO EVOL"]).astype(str))
    kinds = {"RGB": "rgb", "CLUMP": "red_clump", "UNKNOWN": "unknown"}
    rows = np.flatnonzero(np.isfinite(labels).all(axis=1) & (radius > 0) & np.isin(state, list(kinds)))
    correction = isochrones.bolometric_correction(labels[rows], APOKASC_ERRORS)
    abs_ks = bolometric(radius[rows], labels[rows, 0]) - correction
    star = np.array([name.strip().lstrip("J") for name in np.asarray(data["2MASS ID"]).astype(str)[rows]])
    group = np.array([kinds[state[row]] for row in rows])
    return Labelled(labels[rows], 10 ** (0.2 * abs_ks + 2), group, star)


def relabelled(catalog: Labelled, emulator: Path) -> Labelled:
    """The stars of known state that the emulator of giants was fitted to, with the labels of that fit.

    From these labels it makes what is nearest to their real spectra.

    Args:
        catalog: Stars of APOKASC.
        emulator: Folder of the emulator, with the table of its training stars.
    """
    path = emulator / TRAINING
    try:
        rows = [line.split() for line in path.read_text().splitlines()]
        fitted = {
            row[0].rsplit("-2M", 1)[-1].removesuffix(".fits"): [float(v) for v in row[1:]] for row in rows
        }
    except (OSError, ValueError, IndexError) as error:
        raise ConfigError(f"training labels {path}: {error}; give the data with --shared") from error
    catalog = catalog.take(np.isin(catalog.star, list(fitted)) & (catalog.group != "unknown"))
    return replace(catalog, labels=np.array([fitted[star] for star in catalog.star]))


def read_meszaros(folder: Path) -> Labelled:
    """Members of clusters, by the published distance of their cluster.

    The labels are the calibrated ones; for the dwarfs of the Pleiades there are none, and theirs are raw.
    """
    path = folder / MESZAROS
    try:
        lines = [line for line in path.read_text().splitlines() if line.startswith("2M")]
    except OSError as error:
        raise ConfigError(f"catalogue {path}: {error.strerror}; give the data with --shared") from error
    labels, fakemag, group, star = [], [], [], []
    for line in lines:
        name, k_mag = line[19:27].strip(), float(line[112:118])
        if name not in CLUSTERS or k_mag <= 0:
            continue
        raw = [float(line[begin:end]) for begin, end in ((36, 42), (50, 54), (61, 66))]
        calibrated = [float(line[begin:end]) for begin, end in ((43, 49), (55, 60), (67, 72))]
        labels.append([*(calibrated if calibrated[0] > 0 else raw), float(line[85:90])])
        distance, ebv = CLUSTERS[name].distance, CLUSTERS[name].ebv
        fakemag.append(10 ** (0.2 * (k_mag - A_K_PER_EBV * ebv)) * 1000 / distance)
        group.append(name)
        star.append(line[2:18])
    return Labelled(np.array(labels), np.array(fakemag), np.array(group), np.array(star))


def _read(path: Path) -> fits.FITS_rec:
    try:
        with fits.open(path, memmap=False) as hdus:
            return hdus[1].data
    except (OSError, IndexError) as error:
        raise ConfigError(f"catalogue {path}: {error}; give the data with --shared") from error


def _labels(data: fits.FITS_rec, names: tuple[str, ...]) -> np.ndarray:
    """Columns as one array, NaN where they hold a filler."""
    labels = np.stack([np.asarray(data[name], float) for name in names], axis=1)
    return np.where(np.abs(labels) < 9000, labels, np.nan)


def _best_of_each(star: np.ndarray, snr: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Index of the good spectrum with the highest S/N of each star that has one."""
    rows = np.flatnonzero(good)
    rows = rows[np.argsort(-snr[rows], kind="stable")]
    _, first = np.unique(star[rows], return_index=True)
    return np.sort(rows[first])
