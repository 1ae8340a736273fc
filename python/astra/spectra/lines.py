"""Spectral lines that an astronomer looks for in an APOGEE spectrum: name, vacuum wavelength, kind, source.

``LINES: tuple[Line, ...]`` has all those on the detectors, in the order of their wavelengths. A ``Line`` has

    name         what it is called: "Mg I", "Br 11", "CO 6-3", "DIB"
    wavelength   in vacuum, in the rest frame of what absorbs [Angstrom], as grid.wavelength() is
    kind         "hydrogen", "atom", "molecule" or "interstellar"
    source       where the wavelength is from
    strong       whether to name it where there is room for few

Sources:

    Rydberg         the Brackett series of hydrogen from the Rydberg formula with the reduced mass; the fine
                    structure, left out, moves a line by less than 0.1 Angstrom
    H & H 1979      heads of the second overtone of 12CO from the constants of Huber & Herzberg 1979 (NIST
                    WebBook); right to 0.3 Angstrom for 3-0 to 6-3, to 1 Angstrom beyond
    Smith 2013      Smith et al. 2013, ApJ 765, 16, tables 2, 4 and 5, in air; Na I from K. Cunha, and
                    the decimals of Mn I and Al I 16755, as in Bovy 2016, ApJ 817, 49 (jobovy/apogee)
    Shetrone        M. Shetrone, in vacuum, from the same program; the survey's whole list is Shetrone et al.
                    2015, ApJS 221, 24
    Zasowski 2015   Zasowski et al. 2015, ApJ 798, 35: the diffuse interstellar band, in vacuum; it moves with
                    the dust, so that in the rest frame of a star it may lie some Angstrom beside

Each atomic line here has a minimum of its own, within a pixel or so, in the mean of the real spectra that the
published DR17 network was trained with; those of the sources that have none were left out.
"""

from dataclasses import dataclass

import numpy as np

from astra.spectra.grid import DETECTORS, wavelength


@dataclass(frozen=True)
class Line:
    """A spectral line or the head of a band; see the text of this module."""

    name: str
    wavelength: float
    kind: str
    source: str
    strong: bool = False

    @property
    def label(self) -> str:
        """Name and wavelength, as in ``Mg I 15745``."""
        return f"{self.name} {self.wavelength:.0f}"


def to_vacuum(air: np.ndarray | float) -> np.ndarray | float:
    """The vacuum wavelength [Angstrom] of one in air (Ciddor 1996, Applied Optics 35, 1566)."""
    vacuum = air
    for _ in range(2):  # the index of refraction is a function of the wavelength in vacuum
        wavenumber = (1e4 / vacuum) ** 2  # [micron^-2]
        vacuum = air * (1 + 0.05792105 / (238.0185 - wavenumber) + 0.00167917 / (57.362 - wavenumber))
    return vacuum


# > Hydrogen

#: Rydberg's constant of hydrogen, R / (1 + m_e / m_p), CODATA 2018 [cm^-1].
RYDBERG_HYDROGEN = 109737.31568160 / (1 + 1 / 1836.15267343)


def brackett(upper: int) -> float:
    """The vacuum wavelength [Angstrom] of the transition between the levels 4 and ``upper`` of hydrogen."""
    return 1e8 / (RYDBERG_HYDROGEN * (1 / 4**2 - 1 / upper**2))


# > Carbon monoxide

#: Constants of the ground state of 12C16O (Huber & Herzberg 1979) [cm^-1].
_VIBRATION = (2169.81358, -13.28831, 0.010511)
_ROTATION = (1.93128087, -0.01750441, 5.487e-7)
_STRETCHING = 6.12147e-6


def co_head(upper: int) -> float:
    """The vacuum wavelength [Angstrom] of the head of the band ``upper`` - (``upper`` - 3) of 12CO.

    The head is where the R branch turns back: its line with the largest wavenumber.
    """
    j = np.arange(100)
    return float(1e8 / (_term(upper, j + 1) - _term(upper - 3, j)).max())


def _term(v: int, j: np.ndarray) -> np.ndarray:
    """Energies of levels with the vibrational quantum number ``v`` and the rotational ``j`` [cm^-1]."""
    half = v + 0.5
    vibration = sum(constant * half**power for power, constant in enumerate(_VIBRATION, start=1))
    rotation = sum(constant * half**power for power, constant in enumerate(_ROTATION))
    return vibration + rotation * j * (j + 1) - _STRETCHING * (j * (j + 1)) ** 2


# > Atoms, and molecules by single features: wavelengths in air, strong ones with a star

_IN_AIR = {
    "Na I": "16373.87 16388.85",
    "Mg I": "15740.716* 15748.9* 15765.8* 15879.5 15886.2 15954.477",
    "Al I": "16718.957* 16750.564* 16763.359*",
    "Si I": "15361.161 15376.831 15960.063* 16060.009* 16094.787* 16215.670 16680.770* 16828.159",
    "K I": "15163.067 15168.376",
    "Ca I": "16136.823 16150.763 16155.236 16157.364",
    "Ti I": "15543.756 15602.842 15698.979 15715.573* 16635.161",
    "Cr I": "15680.063",
    "Mn I": "15217.85 15262.4",
    "Fe I": "15194.492 15207.526* 15395.718 15490.339 15648.510 15964.867 16040.657 16153.247 16165.032*",
    "Co I": "16757.7",
    "Ni I": "15605.680 16584.439 16589.295 16673.711 16815.471 16818.760",
    "OH": "15391.0 15505.5",
    "CN": "15410.8 15447.0 15482.0",
}

#: In vacuum.
_SHETRONE = {"S I": (15426.490, 15474.043, 15482.712), "Fe I": (16697.635,)}


def _all() -> list[Line]:
    found = [
        Line(f"Br {upper}", brackett(upper), "hydrogen", "Rydberg", upper <= 14) for upper in range(11, 21)
    ]
    found += [
        Line(f"CO {upper}-{upper - 3}", co_head(upper), "molecule", "H & H 1979", True)
        for upper in range(3, 9)
    ]
    for name, wavelengths in _IN_AIR.items():
        kind = "atom" if " " in name else "molecule"
        for air in wavelengths.split():
            vacuum = to_vacuum(float(air.rstrip("*")))
            found.append(Line(name, float(vacuum), kind, "Smith 2013", air.endswith("*")))
    found += [Line(name, at, "atom", "Shetrone") for name, places in _SHETRONE.items() for at in places]
    return [*found, Line("DIB", 15272.42, "interstellar", "Zasowski 2015", True)]


def _on_detector(line: Line) -> bool:
    pixels = wavelength()
    return any(pixels[first] <= line.wavelength <= pixels[end - 1] for first, end in DETECTORS)


#: All lines on the detectors, in the order of their wavelengths.
LINES = tuple(sorted(filter(_on_detector, _all()), key=lambda line: line.wavelength))
