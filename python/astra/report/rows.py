"""The results as arrays: the newest row of each spectrum, streamed from the view ``distances``."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import peewee

from astra.database.connection import database
from astra.database.snapshot import batches
from astra.models import Distance, Source
from astra.report.classes import UNKNOWN, classify, colour

_NUMBERS = (
    *("l", "b", "snr", "k_mag", "ebv", "A_k_mag", "L_fakemag", "e_L_fakemag", "e_model_L_fakemag"),
    *("m_ks_abs", "dist", "e_dist", "plx", "e_plx", "ruwe"),
    *("e_nn_parallax", "plx_zero_point", "gaia_parallax", "e_gaia_parallax"),
)
_KEYS = ("spectrum_pk", "source_pk", "result_flags", "spectrum_flags", "run_pk", "v_astra")
_TRUTHS = ("good", "primary_spectrum", "flag_warn", "flag_bad")
_WORDS = ("telescope",)
_MOMENTS = ("modified",)
_COLUMNS = (*_NUMBERS, *_KEYS, *_TRUTHS, *_WORDS, *_MOMENTS)


@dataclass(frozen=True)
class Rows:
    """N results; arrays of shape (N,), NaN where a number is absent, 0 for an absent key.

    Attributes:
        values: Columns of the view by their names, and ``j_mag`` of the source.
        words: What the codes of a column of text stand for; an absent one is "".
        colour: (J - Ks)0 [mag].
        kind: Codes of ``classes.CLASSES``.
    """

    values: dict[str, np.ndarray]
    words: dict[str, list[str]]
    colour: np.ndarray = field(init=False)
    kind: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        colours = colour(self["j_mag"], self["k_mag"], self["A_k_mag"])
        object.__setattr__(self, "colour", colours)
        kinds = classify(self["m_ks_abs"], colours)
        object.__setattr__(self, "kind", np.where(self["k_mag"] == 0, UNKNOWN, kinds))

    def __len__(self) -> int:
        return len(self.values["spectrum_pk"])

    def __getitem__(self, name: str) -> np.ndarray:
        return self.values[name]

    @property
    def science(self) -> np.ndarray:
        """Whether a row is fit for science, and the best of its star: one row per star."""
        return self["good"] & self["primary_spectrum"]


def read_rows(spectra: Sequence[int] | None = None) -> Rows:
    """The newest result of each spectrum, in no particular order; only within ``snapshot``.

    Args:
        spectra: Keys of few spectra; ``None`` takes all.
    """
    fields = [getattr(Distance, name) for name in _COLUMNS]
    query = Distance.select(*fields, Source.j_mag).join(
        Source, peewee.JOIN.LEFT_OUTER, on=(Distance.source_pk == Source.pk)
    )
    if spectra is not None:
        query = query.where(Distance.spectrum_pk << list(spectra))
    names = [*_COLUMNS, "j_mag"]
    coded: dict[str, dict[str, int]] = {name: {} for name in _WORDS}
    parts: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for batch in batches(database, query):
        for name, column in zip(names, zip(*batch, strict=True), strict=True):
            parts[name].append(_array(name, column, coded))
    values = {}
    for name in names:
        pieces = parts.pop(name)
        values[name] = np.concatenate(pieces) if pieces else _array(name, (), coded)
    return Rows(values, {name: list(codes) for name, codes in coded.items()})


def _array(name: str, column: Iterable, coded: dict[str, dict[str, int]]) -> np.ndarray:
    if name in _KEYS:
        return np.array([key or 0 for key in column], np.int64)
    if name in _TRUTHS:
        return np.array(column, bool)
    if name in _WORDS:
        codes = coded[name]
        return np.array([codes.setdefault(word or "", len(codes)) for word in column], np.int16)
    if name in _MOMENTS:
        return np.array(column, "datetime64[us]")
    return np.array(column, float)
