"""The Monte Carlo draws behind a result, made again, and compared with what is stored."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from astra.config import Settings
from astra.errors import ConfigError, UsageError
from astra.models import TaskRun
from astra.report.stars import Detail

if TYPE_CHECKING:
    from astra.pipelines.astronn_dist.estimating import Model

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
