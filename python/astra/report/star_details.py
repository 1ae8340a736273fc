"""Single stars: what the database has of a spectrum, its pixels, and its Monte Carlo draws, repeated."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from astra.config import Settings
from astra.errors import ConfigError, SpectrumError, UsageError
from astra.models import APOGEE, AstroNNdist, Distance, Source, Spectrum, TaskRun
from astra.models.apogee import ApogeeSpectrum
from astra.spectra.grid import DETECTORS, wavelength
from astra.spectra.identity import SIMULATED_FIELD
from astra.spectra.rectify import rectify, seen, usable
from astra.tasks.star_names import sources_of

if TYPE_CHECKING:
    from astra.pipelines.astronn_dist.estimating import Model


@dataclass(frozen=True)
class Detail:
    """One result with all that belongs to it.

    Attributes:
        summary: Its row of the view ``distances``.
    """

    summary: Distance
    result: AstroNNdist
    spectrum: ApogeeSpectrum
    source: Source | None
    run: TaskRun | None

    @property
    def name(self) -> str:
        """The APOGEE id of the star, or else the name in its spectrum."""
        return self.summary.sdss4_apogee_id or self.spectrum.obj


@dataclass(frozen=True)
class Star:
    """All spectra of one star.

    Attributes:
        source: Its row; ``None`` if its spectra have none.
        details: Those with a result, the best spectrum first.
        pending: Those without one.
    """

    source: Source | None
    details: list[Detail]
    pending: list[ApogeeSpectrum]

    @property
    def is_simulated(self) -> bool:
        """Whether the simulator of this package made its spectra."""
        spectra = [*(detail.spectrum for detail in self.details), *self.pending]
        return any(getattr(spectrum, "field", "") == SIMULATED_FIELD for spectrum in spectra)


def read_details(spectrum_pks: Sequence[int]) -> list[Detail]:
    """What the database has of few spectra, in their order; those without a result are left out."""
    rows = Distance.select().where(Distance.spectrum_pk << list(spectrum_pks))
    found = {row.spectrum_pk: row for row in rows}
    return [_detail(found[key]) for key in spectrum_pks if key in found]


def _detail(row: Distance) -> Detail:
    return Detail(
        row,
        AstroNNdist.get_by_id(row.task_pk),
        Spectrum(pk=row.spectrum_pk).resolve(),
        Source.get_or_none(Source.pk == row.source_pk),
        TaskRun.get_or_none(TaskRun.pk == row.run_pk),
    )


def read_star(name: str) -> Star:
    """All spectra of a star.

    Args:
        name: An sdss_id (digits) or an APOGEE id.

    Raises:
        UsageError: There is no such star in the database.
    """
    sources = sources_of([name])
    chosen = (each.select(each.spectrum_pk).where(each.source << sources) for each in APOGEE)
    keys = [key for query in chosen for (key,) in query.tuples()]
    details = read_details(keys)
    details.sort(key=lambda detail: (not detail.summary.primary_spectrum, detail.spectrum.spectrum_pk))
    waiting = sorted(set(keys) - {detail.spectrum.spectrum_pk for detail in details})
    pending = [Spectrum(pk=key).resolve() for key in waiting]
    return Star(Source.get_or_none(Source.pk << sources), details, pending)


# > The spectrum


@dataclass(frozen=True)
class Pixels:
    """A spectrum on the pixels of the three detectors, arrays of shape (7514,).

    Attributes:
        wavelength: Vacuum wavelength in the rest frame of the star [Angstrom].
        flux, e_flux: As in the file [10^-17 erg / (s cm2 Angstrom)].
        rectified, e_rectified: Divided by the continuum; 1 where a pixel is masked.
    """

    wavelength: np.ndarray
    flux: np.ndarray
    e_flux: np.ndarray
    rectified: np.ndarray
    e_rectified: np.ndarray

    @cached_property
    def measured(self) -> np.ndarray:
        """Whether a pixel can be used; where it cannot, its numbers mean nothing."""
        return seen(self.rectified, self.e_rectified) & np.isfinite(self.e_flux) & (self.flux != 0)


def read_pixels(spectrum: ApogeeSpectrum) -> Pixels | str:
    """Read and rectify a spectrum; if it cannot be shown, the reason."""
    try:
        read = spectrum.read()
    except (SpectrumError, ConfigError) as error:
        return f"The spectrum cannot be read: {error}"
    arrays = read.flux[None], read.e_flux[None], read.pixel_flags[None]
    if not usable(*arrays)[0]:
        return f"The spectrum has no usable pixel: {spectrum.path}"
    rectified, e_rectified = rectify(*arrays)
    on_detectors = np.concatenate([np.arange(first, end) for first, end in DETECTORS])
    of_file = (each[on_detectors] for each in (wavelength(), read.flux, read.e_flux))
    return Pixels(*of_file, rectified[0], e_rectified[0])


# > The draws

#: Repeated draws agree with the stored row to this relative difference.
SAME = 1e-5

_COMPARED = ("L_fakemag", "e_L_fakemag", "e_model_L_fakemag")


@dataclass(frozen=True)
class Draws:
    """The draws of one spectrum.

    Attributes:
        fakemag: Each draw of L_fakemag, shape (draws,) [mas].
        difference: The largest relative difference between their summary and the stored row.
    """

    fakemag: np.ndarray
    difference: float

    @property
    def same(self) -> bool:
        """Whether their summary is the stored row."""
        return self.difference <= SAME


class Drawing:
    """Repeats the draws of results, each with the weights that made it where they are available."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._models: dict[Path, Model] = {}

    @cached_property
    def _paths(self) -> dict[str, Path]:
        """The files of weights, by their checksums."""
        from astra.pipelines.astronn_dist.weights.library import list_models

        return {model.sha256: model.path for model in list_models(self._settings).models if model.sha256}

    def draws(self, detail: Detail, flux: np.ndarray, e_flux: np.ndarray) -> Draws | str:
        """The draws of a result from its rectified spectrum, or the reason why there are none.

        Args:
            detail: The result.
            flux, e_flux: Its rectified spectrum, shape (7514,).
        """
        run, result = detail.run, detail.result
        if result.flag_no_result or not np.isfinite(result.L_fakemag):
            return "There is no result, so there are no draws."
        if run is None or not run.weights_sha256 or run.n_draws is None or run.seed is None:
            return "It is not known which weights and which seed this result was made with."
        path = self._paths.get(run.weights_sha256) or _named_by(run)
        if path is None:
            return (
                f"The weights {run.weights_name} (sha256 {run.weights_sha256[:12]}…) are not at hand, so the "
                "draws cannot be repeated: import them with `astra models import`."
            )
        self._paths[run.weights_sha256] = path
        try:
            return _draw(self._model(path), detail, flux, e_flux)
        except (ConfigError, UsageError) as error:
            return f"The draws cannot be repeated: {error}"

    def _model(self, path: Path) -> "Model":
        from astra.pipelines.astronn_dist.estimating import model_of

        if path not in self._models:
            self._models[path] = model_of(path, "cpu")
        return self._models[path]


def _named_by(run: TaskRun) -> Path | None:
    """The file that a run was started with, if it still is the same."""
    from astra.pipelines.astronn_dist.weights.former import first_with, recorded_paths

    return first_with(run.weights_sha256, recorded_paths(run.arguments))


def _draw(model: "Model", detail: Detail, flux: np.ndarray, e_flux: np.ndarray) -> Draws:
    run, names = detail.run, [detail.spectrum.product_id]
    found, draws = model.predict(flux[None], e_flux[None], names, n_draws=run.n_draws, seed=run.seed)
    repeated = np.array([found.fakemag[0], found.e_fakemag[0], found.e_model_fakemag[0]])
    stored = np.array([getattr(detail.result, name) for name in _COMPARED])
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = np.where(np.isnan(repeated) & np.isnan(stored), 0.0, np.abs(repeated / stored - 1))
    return Draws(draws[0], float(np.nan_to_num(difference, nan=np.inf).max()))
