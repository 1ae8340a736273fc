"""What a simulation is made from: a population of stars, an emulator of their spectra, and conditions."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from astra.damage import check_file, damage
from astra.errors import ConfigError, SpectrumError
from astra.modelling.simulator import MAX_SNR, MIN_SNR
from astra.modelling.simulator.stars import MIX, Stars


class Population(Protocol):
    """Where stars are drawn from."""

    def draw(self, n: int, rng: np.random.Generator, mix: dict[str, float] | None = MIX) -> Stars:
        """Draw n stars with these shares of the classes; ``None``: as many of each as a survey sees."""


class Emulator(Protocol):
    """Turns labels into spectra."""

    def spectra(self, labels: np.ndarray) -> np.ndarray:
        """Flux divided by the continuum, shape (N, 8575), for labels of shape (N, 4)."""


@dataclass(frozen=True)
class Simulator:
    """Stars and their spectra before they are observed."""

    population: Population
    emulator: Emulator

    scatter: np.ndarray
    """How much real spectra differ from the emulator's at each pixel, shape (8575,)."""

    name: str
    """For the provenance of what is made with it."""

    alternatives: tuple[Emulator, ...] = ()
    """Other emulators, less like real spectra; the truth may lie between the first one and these."""


@dataclass(frozen=True)
class Conditions:
    """How stars are observed, and how far the emulators may be from the truth."""

    mix: dict[str, float] = field(default_factory=lambda: dict(MIX))
    """Share of each class of stars."""

    natural: bool = False
    """Whether stars are drawn as a survey sees them instead, without a say in their classes."""

    snr: tuple[float, float] = (MIN_SNR, MAX_SNR)
    """Range of the signal-to-noise ratio per pixel, drawn evenly in its logarithm."""

    noise: bool = True
    """Whether to add photon noise, which is larger below sky lines and in bad pixels, and lost pixels."""

    label_jitter: tuple[float, float, float, float] = (35.0, 0.04, 0.03, 0.02)
    """Standard deviation of a spectrum's labels from those of the isochrone: [K], [dex], [dex], [dex]."""

    foreign: dict[str, float] = field(
        default_factory=lambda: {
            "rgb": 0.25,
            "red_clump": 0.25,
            "subgiant": 0.6,
            "dwarf": 0.8,
            "m_dwarf": 0.5,
            "young": 0.5,
        }
    )
    """Share of stars of a class whose spectrum lies between the emulator's and that of an alternative one."""

    mismatch: float = 1.0
    """Scale of the differences between emulated and real spectra, in units of the scatter of the emulator."""

    edges: float = 0.03
    """Standard deviation of the flux at the ends of detectors, which no emulator of real stars covers."""

    depth: tuple[float, float] = (0.02, 0.05)
    """Standard deviation of the strength of all lines of a detector, and of neighbouring lines."""

    velocity: float = 1.5
    """Standard deviation of the residual radial velocity [km/s]; every thirtieth star has six times that."""

    turbulence: float = 2.4
    """Scale of additional Gaussian broadening [km/s]."""

    broad: float = 0.0
    """Share of stars with two and a half times that."""

    response: tuple[float, float] = (1.0, 0.4)
    """Size of each detector's response, relative to that of real spectra: its mean and standard deviation."""

    wiggle: float = 0.006
    """Standard deviation of what else is left of the blaze, Legendre orders 3 to 8 of each detector."""

    telluric: float = 0.015
    """Standard deviation of the depth of telluric residuals."""

    sky: float = 0.5
    """Standard deviation of residuals of sky lines, below their masks and beside, in units of the noise."""

    persistence: float = 0.05
    """Scale of the light of earlier exposures in the affected pixels, at S/N 100."""

    lost_detector: float = 0.04
    """Share of spectra that lack a detector, or a large part of one."""

    companions: dict[str, float] = field(
        default_factory=lambda: {
            "rgb": 0.07,
            "red_clump": 0.04,
            "dwarf": 0.12,
            "m_dwarf": 0.1,
            "subgiant": 0.12,
            "hot": 0.15,
        }
    )
    """Share of stars of a class with an unresolved companion that matters. Of giants, these are the shares
    with a companion that adds more than a tenth of the light, along isochrones of 1 to 10 billion years: 46 %
    have one (Raghavan et al. 2010, ApJS 190, 1), with evenly distributed ratios of the masses, and a tenth of
    twins (Moe & Di Stefano 2017, ApJS 230, 15)."""

    warm_companions: float = 0.4
    """The same above 6000 K, of dwarfs and subgiants if these have companions at all; no less than those."""

    twins: float = 0.4
    """Share of companions that are as bright as the star itself; not of giants, which are never so alike."""

    double_lined: float = 0.7
    """Share of companions with separate lines: by 10 to 250 km/s when they are farthest apart."""


def with_pairs(conditions: Conditions, part: float, warm: float) -> Conditions:
    """The same conditions with this part of the companions, and this share of warm stars with one."""
    companions = {kind: part * share for kind, share in conditions.companions.items()}
    return replace(conditions, companions=companions, warm_companions=warm)


@contextmanager
def reading(what: str, path: Path, remedy: str) -> Iterator[None]:
    """Turn errors that occur while a file of a simulator is read into one line about that file.

    Args:
        what: What the file is.
        path: The file.
        remedy: What to do, e.g. "give the published files".

    Raises:
        ConfigError: The file cannot be read, or holds something else.
    """

    def fault(why: str) -> ConfigError:
        return ConfigError(f"{what}: {path}: {why}; {remedy}")

    with damage(fault):
        try:
            check_file(path)
            yield
        except SpectrumError as error:
            raise fault(str(error)) from error
