"""The tables of a model's file that say how wrong it is, measured on stars that nothing else was fitted to.

**By luminosity and signal-to-noise ratio.** Where two kinds of stars look alike, the more frequent one
decides what the median star is, and the stars of the sky are not those of the training. No model can be
right for every mixture; so shift and factor are fitted to several sets of stars, each of which counts the
same at each node of the table, however many of its stars are there. The median of either of two sets is then
off by no more than about half of what they differ by.

At a node, stars count by the weight that interpolation gives the node for them, and next to nothing if they
are flagged: their luminosity is unknown. The shift is the weighted median of ln(L_true / L). The factor is
such that 68.27 % of the errors are within the stated one. At luminosities and at signal-to-noise ratios
where more than ``OUTLIERS`` of some set would be beyond three times it, it is larger, but so that no set has
pulls narrower than ``NARROWEST``: the wings of stars that look like another kind are wider than those of a
normal distribution. Where stars are few, the table approaches what it is at all signal-to-noise ratios, and
where there are none, no correction.

**By missing pixels.** Stars lose a stretch of one detector after the other, from a pixel chosen at random
on. What has to be added to their stated errors in quadrature, so that these hold again, is the cost: that of
the luminosities that suffer most.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from astra.modelling.simulator.observe import NO_DATA
from astra.modelling.simulator.sample import Sample
from astra.modelling.simulator.stars import StarColumns
from astra.modelling.training.calibrate import HEADS, N_DRAWS, draw_features, summarised
from astra.modelling.training.examples import Examples, Progress
from astra.modelling.training.losses import LEAST, ONE_SIGMA
from astra.modelling.training.network import compute_threads, network_of
from astra.pipelines.astronn_dist.distances.distance import UNRELIABLE, unreliable
from astra.pipelines.astronn_dist.network.sampling import Prediction, calibrated
from astra.pipelines.astronn_dist.weights.calibration import Calibration, node_shares
from astra.pipelines.astronn_dist.weights.files import Weights
from astra.pipelines.astronn_dist.weights.missing import DETECTORS, MissingPixels
from astra.spectra import grid
from astra.spectra.rectify import MASKED_BITS

#: Nodes in predicted absolute Ks magnitude [mag], closer about the red clump, where most stars are and other
#: giants look like its own; and in signal-to-noise ratio per pixel.
ABS_KS = np.concatenate([np.arange(-8, -3, 0.5), np.arange(-3, -1, 0.25), np.arange(-1, 7.1, 0.5)])
SNR = np.array([22.0, 40.0, 70.0, 120.0, 220.0, 400.0])

#: So many stars at a node count as much as what the other nodes say.
FEW = 60.0

#: Rounds in which what is left is corrected once more.
PASSES = 3

#: How much a flagged star counts.
FLAGGED = 0.1

#: Share of errors beyond three times the stated one that is aimed at; and how narrow, for that, the pulls of
#: a set may become.
OUTLIERS, NARROWEST = 0.008, 0.92

#: Up to this share of missing pixels a detector is whole: of real spectra, few have larger masks.
ORDINARY = 0.6

#: Missing shares whose cost is measured.
SHARES = (0.75, 0.9, 1.0)

#: Limits between luminosities whose cost is measured by itself [mag]: bright giants, the clump and its
#: neighbours, dwarfs and subgiants.
LIMITS = (-2.0, 1.0)

#: Share of the errors within three times the stated one, if that is to hold where pixels are missing.
WITHIN_THREE = 0.99

#: No error describes a bias: from this median on [ln L], results are made unreliable.
BIAS = 0.07

# Digits after the point of what is noted.
_DIGITS = 4

# Examples whose draws are in memory together.
_TOGETHER = 2048


@dataclass(frozen=True)
class Found(StarColumns):
    """What a network says of N stars; arrays of shape (N,)."""

    true: np.ndarray
    """True pseudo-luminosity [mas]."""

    fakemag: np.ndarray
    """The prediction [mas]."""

    e_fakemag: np.ndarray
    """Its total error [mas]."""

    snr: np.ndarray
    """Signal-to-noise ratio as the errors of the spectrum state it."""

    missing: np.ndarray
    """Shares of the pixels of the detectors that are missing, shape (N, 3)."""

    @property
    def is_whole(self) -> np.ndarray:
        """Whether no detector lacks more pixels than ``ORDINARY``."""
        return (self.missing <= ORDINARY).all(axis=1)

    def calibrated(self, calibration: Calibration) -> "Found":
        """The same stars after this calibration."""
        plain = Prediction(self.fakemag, self.e_fakemag, np.zeros(len(self)))
        moved = calibrated(plain, self.snr, calibration)
        return replace(self, fakemag=moved.fakemag, e_fakemag=moved.e_fakemag)


def found_for(
    weights: Weights,
    examples: Examples,
    *,
    seed: int,
    device: str,
    on_progress: Progress = lambda done, total: None,
) -> Found:
    """What the tensors of a model alone say of examples with noise and masks, from ``N_DRAWS`` draws.

    Args:
        weights: The model.
        examples: Examples whose ``snr`` is what their errors state.
        seed: Decides the dropout.
        device: Where to compute.
        on_progress: Called with the number of examples done and their total. If it raises, the work stops.
    """
    network = network_of({name: torch.tensor(value) for name, value in weights.tensors.items()}, device)
    state, unit = network.state_dict(), network.labels_std.item()
    parts = []
    with compute_threads() as threads:
        for start in range(0, len(examples), _TOGETHER):
            on_progress(start, len(examples))
            some = examples.take(np.arange(start, min(start + _TOGETHER, len(examples))))
            features = draw_features(network, some, threads, n_draws=N_DRAWS, seed=seed + start)
            with torch.no_grad():
                prediction, log_variance = summarised(features, [state[name] for name in HEADS])
            masked = some.flux == 0
            parts.append(
                Found(
                    true=some.fakemag.astype(float),
                    fakemag=unit * prediction.double().cpu().numpy(),
                    e_fakemag=unit * (0.5 * log_variance).exp().double().cpu().numpy(),
                    snr=some.snr.astype(float),
                    missing=np.stack([masked[:, chip].mean(axis=1) for chip in grid.CHIPS], axis=1),
                )
            )
    on_progress(len(examples), len(examples))
    return Found.joined(parts)


# > By luminosity and signal-to-noise ratio


def fit_calibration(sets: Sequence[Found]) -> Calibration:
    """Measure shift and factor on sets of stars that count the same; of each, the whole spectra.

    Args:
        sets: At least one.
    """
    sets = [each.take(each.is_whole) for each in sets]
    stars, part = Found.joined(sets), np.repeat(np.arange(len(sets)), [len(each) for each in sets])
    both = node_shares(ABS_KS, SNR, stars.fakemag, stars.snr)
    both *= np.where(unreliable(stars.fakemag, stars.e_fakemag), FLAGGED, 1.0)[:, None]
    cells = both.reshape(len(stars), len(ABS_KS), len(SNR))
    by_magnitude, by_noise = cells.sum(axis=2), cells.sum(axis=1)
    levels = (by_magnitude, *PASSES * (both,))

    shift, left = np.zeros((len(ABS_KS), len(SNR))), np.log(stars.true / stars.fakemag)
    for shares in levels:
        more = at_nodes(left, 0.5, shares, part)
        shift, left = shift + _spread(more), left - _interpolated(more, shares)
    # What is left is ln(L_true / L) after the shift, and the relative error is as before.
    pull = np.abs(1 - np.exp(left)) * stars.fakemag / stars.e_fakemag
    factor, left = np.zeros(shift.shape), np.log(np.maximum(pull, LEAST))
    for shares in levels:
        more = at_nodes(left, ONE_SIGMA, shares, part)
        factor, left = factor + _spread(more), left - _interpolated(more, shares)
    apart = [np.flatnonzero(part == number) for number in range(len(sets))]
    for shares in (by_magnitude, by_noise):
        one, three = (
            [at_nodes(left[rows] - np.log(width), level, shares[rows], 0 * part[rows]) for rows in apart]
            for level, width in ((ONE_SIGMA, 1), (1 - OUTLIERS, 3))
        )
        room = np.min(one, axis=0) - np.log(NARROWEST)
        more = np.clip(np.max(three, axis=0), 0, np.maximum(room, 0))
        factor, left = factor + _spread(more), left - _interpolated(more, shares)
    return Calibration(ABS_KS, SNR, np.round(shift, _DIGITS), np.round(np.exp(factor), _DIGITS))


def at_nodes(values: np.ndarray, level: float, shares: np.ndarray, part: np.ndarray) -> np.ndarray:
    """A quantile of the stars at each of K nodes, nearer to 0 the fewer there are, shape (K,).

    Args:
        values: One for each star, shape (N,).
        level: Which quantile.
        shares: How much each star counts at each node, shape (N, K).
        part: The number of its set, shape (N,); sets count the same.
    """
    found = np.zeros(shares.shape[1])
    for node, share in enumerate(shares.T):
        rows = np.flatnonzero(share > 0)
        if len(rows):
            number = np.bincount(part[rows], share[rows])
            weight = share[rows] / (number + FEW)[part[rows]]
            found[node] = number.sum() / (number.sum() + FEW) * quantile(values[rows], weight, level)
    return found


def _interpolated(values: np.ndarray, shares: np.ndarray) -> np.ndarray:
    return shares @ values / shares.sum(axis=1)


def _spread(values: np.ndarray) -> np.ndarray:
    """Values at the nodes in magnitude, at those in S/N, or at all of them, as (M, S)."""
    shape = {len(ABS_KS): (-1, 1), len(SNR): (1, -1)}.get(len(values), (len(ABS_KS), len(SNR)))
    return np.broadcast_to(values.reshape(shape), (len(ABS_KS), len(SNR)))


def quantile(values: np.ndarray, weight: np.ndarray, level: float) -> float:
    """The value below which this share of the weight lies, between two values interpolated."""
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weight[order]) - 0.5 * weight[order]
    return float(np.interp(level * weight.sum(), below, values[order]))


# > By missing pixels


def fit_missing(stars: Sample, find: Callable[[Sample], Found], rng: np.random.Generator) -> MissingPixels:
    """Measure what missing pixels of each detector cost.

    Args:
        stars: Stars whose spectra are whole.
        find: Gives what the model says of such stars, calibrated.
        rng: Where on a detector pixels are lost.
    """
    tables, whole = {}, find(stars)
    for name, chip in zip(DETECTORS, grid.DETECTORS, strict=True):
        costs = [cost_of(find(without(stars, chip, share, rng)), whole) for share in SHARES]
        rising = np.maximum.accumulate([0.0, *costs])
        tables[name] = np.array([ORDINARY, *SHARES]), np.round(rising, _DIGITS)
    return MissingPixels(**tables)


def without(stars: Sample, chip: tuple[int, int], share: float, rng: np.random.Generator) -> Sample:
    """The same stars, with a stretch of a detector lost so that this share of it is missing.

    The stretch begins anywhere, and goes on at the start of the detector when it comes to its end.

    Args:
        stars: The stars.
        chip: First and one-past-last pixel of the detector.
        share: Which share is missing afterwards, of a spectrum that does not lack more already.
        rng: Decides where the stretch begins.
    """
    flux, e_flux, flags = (array.copy() for array in (stars.flux, stars.e_flux, stars.pixel_flags))
    pixels = np.arange(*chip)
    for row, start in enumerate(rng.integers(len(pixels), size=len(stars))):
        around = np.roll(pixels, -start)
        usable = (flags[row, around] & MASKED_BITS) == 0
        surplus = usable.sum() - round((1 - share) * len(pixels))
        lost = around[np.cumsum(usable) <= surplus] if surplus > 0 else around[:0]
        flux[row, lost], e_flux[row, lost] = 0.0, NO_DATA
        flags[row, lost] |= 1 << grid.BADPIX
    return replace(stars, flux=flux, e_flux=e_flux, pixel_flags=flags)


def cost_of(lost: Found, whole: Found) -> float:
    """The relative error to add in quadrature so that errors hold as well as before, at each luminosity.

    They hold if 68.27 % of the stars are within the stated error, and ``WITHIN_THREE`` within three times it.
    Where the median is off by more than ``BIAS``, it is at least what makes a result unreliable.

    Args:
        lost: What the model says of stars whose spectra lack pixels.
        whole: The same of their whole spectra, for which nothing is to be added.
    """
    group = np.searchsorted(LIMITS, 5 * np.log10(lost.true) - 10)
    costs = [0.0]
    for rows in (group == number for number in np.unique(group)):
        some = lost.take(rows)
        more = _lacking(some) ** 2 - _lacking(whole.take(rows)) ** 2
        costs += np.sqrt(np.maximum(more, 0)).tolist()
        if abs(np.median(np.log(some.true / some.fakemag))) > BIAS:
            costs.append(UNRELIABLE)
    return max(costs)


def _lacking(found: Found) -> np.ndarray:
    """What errors lack in quadrature so that each of the two conditions on them is met, shape (2,)."""
    error, stated = (values / found.fakemag for values in (found.fakemag - found.true, found.e_fakemag))
    lacking = []
    for level, width in ((ONE_SIGMA, 1.0), (WITHIN_THREE, 3.0)):
        # Of each star, what would just do.
        needed = np.sqrt(np.maximum((error / width) ** 2 - stated**2, 0))
        lacking.append(np.quantile(needed, level))
    return np.array(lacking)
