"""Single stars: all that the database has of a spectrum, its pixels, and its Monte Carlo draws made again."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import peewee

from astra.config import Settings
from astra.errors import ConfigError, SpectrumError, UsageError
from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist, Distance, Source, TaskRun
from astra.spectra.grid import CHIPS, DETECTORS, wavelength
from astra.spectra.rectify import rectify, usable
from astra.tasks.pending import sources_of

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
    spectrum: ApogeeCoaddedSpectrumInApStar
    source: Source | None
    run: TaskRun | None

    @property
    def name(self) -> str:
        """What to call the star: its APOGEE id, or else that of its spectrum."""
        return self.summary.sdss4_apogee_id or self.spectrum.obj


@dataclass(frozen=True)
class Star:
    """All spectra of one star.

    Attributes:
        details: Those with a result, the best spectrum first.
        pending: How many have none.
    """

    details: list[Detail]
    pending: int


def read_details(spectrum_pks: Sequence[int]) -> list[Detail]:
    """What the database has of these spectra, in their order; those without a result are left out."""
    keys = list(spectrum_pks)
    found: dict[int, Detail] = {}
    for some in peewee.chunked(keys, 500):
        summaries = list(Distance.select().where(Distance.spectrum_pk << list(some)))
        results = _by_key(AstroNNdist, "task_pk", (row.task_pk for row in summaries))
        spectra = _by_key(
            ApogeeCoaddedSpectrumInApStar, "spectrum_pk_id", (row.spectrum_pk for row in summaries)
        )
        sources = _by_key(Source, "pk", (row.source_pk for row in summaries))
        runs = _by_key(TaskRun, "pk", (row.run_pk for row in summaries))
        for row in summaries:
            found[row.spectrum_pk] = Detail(
                row,
                results[row.task_pk],
                spectra[row.spectrum_pk],
                sources.get(row.source_pk),
                runs.get(row.run_pk),
            )
    return [found[key] for key in keys if key in found]


def read_star(name: str) -> Star:
    """All spectra of a star.

    Args:
        name: An sdss_id (digits) or an APOGEE id.

    Raises:
        UsageError: There is no such star in the database.
    """
    spectra = ApogeeCoaddedSpectrumInApStar
    chosen = spectra.select(spectra.spectrum_pk).where(spectra.source << sources_of([name]))
    keys = [key for (key,) in chosen.tuples()]
    details = read_details(keys)
    details.sort(key=lambda detail: (not detail.summary.primary_spectrum, detail.spectrum.spectrum_pk))
    return Star(details, len(keys) - len(details))


def _by_key(model: type[peewee.Model], name: str, keys: Iterable[int | None]) -> dict[int, peewee.Model]:
    field = getattr(model, name.removesuffix("_id"))
    wanted = {key for key in keys if key is not None}
    return {getattr(row, name): row for row in model.select().where(field << wanted)} if wanted else {}


# > The spectrum


@dataclass(frozen=True)
class Pixels:
    """A spectrum on the pixels of the three detectors, arrays of shape (7514,).

    Attributes:
        wavelength: Vacuum wavelength in the rest frame of the star [Angstrom].
        flux: As in the file [10^-17 erg / (s cm2 Angstrom)].
        rectified, e_rectified: Divided by the continuum; 1 where a pixel is masked.
    """

    wavelength: np.ndarray
    flux: np.ndarray
    rectified: np.ndarray
    e_rectified: np.ndarray


def read_pixels(spectrum: ApogeeCoaddedSpectrumInApStar) -> Pixels | str:
    """Read and rectify a spectrum; why it cannot be shown, if it cannot."""
    try:
        read = spectrum.read()
    except (SpectrumError, ConfigError) as error:
        return f"The spectrum cannot be read: {error}"
    arrays = read.flux[None], read.e_flux[None], read.pixel_flags[None]
    if not usable(*arrays)[0]:
        return f"The spectrum has no usable pixel: {spectrum.path}"
    rectified, e_rectified = rectify(*arrays)
    seen = np.concatenate([np.arange(first, end) for first, end in DETECTORS])
    return Pixels(wavelength()[seen], read.flux[seen], rectified[0], e_rectified[0])


def drawn_line(values: np.ndarray, every: int) -> np.ndarray:
    """Means of so many neighbouring pixels, with a gap (NaN) after each detector.

    Args:
        values: Shape (7514,).
        every: Pixels in one mean; what is left over at the end of a detector is left out.
    """
    pieces = []
    for chip in CHIPS:
        part = values[chip]
        part = part[: len(part) // every * every].reshape(-1, every)
        pieces += [part.mean(axis=1), [np.nan]]
    return np.concatenate(pieces)


# > The draws

#: A draw made again is the same as the stored one to this relative difference.
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
    """Makes draws again, with the very weights of each result where these are at hand."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._paths: dict[str, Path] | None = None
        self._loaded: dict[str, Model] = {}

    def again(self, detail: Detail, flux: np.ndarray, e_flux: np.ndarray) -> Draws | str:
        """The draws of a result from its rectified spectrum; why there are none, if there are none.

        Args:
            detail: The result.
            flux, e_flux: Its rectified spectrum, shape (7514,).
        """
        run, result = detail.run, detail.result
        if result.flag_no_result or not np.isfinite(result.L_fakemag):
            return "There is no result, so there are no draws."
        if run is None or not run.weights_sha256 or run.n_draws is None or run.seed is None:
            return "It is not known which weights and which seed this result was made with."
        path = self._path_of(run)
        if path is None:
            return (
                f"The weights {run.weights_name} (sha256 {run.weights_sha256[:12]}…) are not at hand, so the "
                "draws cannot be made again: import them with `astra models import`."
            )
        try:
            model = self._model(path, run.weights_sha256)
            return _draw(model, detail, flux, e_flux)
        except (ConfigError, UsageError) as error:
            return f"The draws cannot be made again: {error}"

    def _path_of(self, run: TaskRun) -> Path | None:
        if self._paths is None:
            from astra.pipelines.astronn_dist.weights.library import list_models

            found = list_models(self._settings).models
            self._paths = {model.sha256: model.path for model in found if model.sha256}
        if run.weights_sha256 not in self._paths and (path := _named_by(run)) is not None:
            self._paths[run.weights_sha256] = path
        return self._paths.get(run.weights_sha256)

    def _model(self, path: Path, sha256: str) -> "Model":
        if sha256 not in self._loaded:
            from astra.pipelines.astronn_dist.estimating import model_of

            self._loaded[sha256] = model_of(path, "cpu")
        return self._loaded[sha256]


def _named_by(run: TaskRun) -> Path | None:
    """The file that a run was given, if it is still the same."""
    from astra.pipelines.astronn_dist.weights.files import identify

    try:
        given: Mapping[str, Any] = json.loads(run.arguments or "{}")
        path = Path(given["weights"]).expanduser()
        return path if identify(path)[1] == run.weights_sha256 else None
    except (ValueError, KeyError, TypeError, ConfigError):
        return None


def _draw(model: "Model", detail: Detail, flux: np.ndarray, e_flux: np.ndarray) -> Draws:
    run, result = detail.run, detail.result
    names = [detail.spectrum.product_id]
    found, draws = model.predict(flux[None], e_flux[None], names, n_draws=run.n_draws, seed=run.seed)
    again = np.array([found.fakemag[0], found.e_fakemag[0], found.e_model_fakemag[0]])
    stored = np.array([getattr(result, name) for name in _COMPARED])
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = np.where(np.isnan(again) & np.isnan(stored), 0.0, np.abs(again / stored - 1))
    return Draws(draws[0], float(np.nan_to_num(difference, nan=np.inf).max()))
