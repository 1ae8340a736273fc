"""Where results come from: which database, which runs, which weights."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from peewee import fn

from astra.database import described
from astra.models import AstroNNdist, TaskRun
from astra.models.base import database


@dataclass(frozen=True)
class Origin:
    """What results of the same weights, seed, draws and version have in common.

    ``None`` where the rows belong to no known run.
    """

    weights: str | None
    sha256: str | None
    stated_range: str | None
    seed: int | None
    n_draws: int | None
    precision: str | None
    version: str | None
    rows: int = 0


@dataclass(frozen=True)
class Provenance:
    """Of all results together.

    Attributes:
        database: What it is, without a password.
        newest: When a result last changed (UTC); ``None`` without results.
        origins: The most frequent first.
    """

    database: str
    newest: datetime | None
    origins: list[Origin]


def read_provenance(run_pk: np.ndarray) -> Provenance:
    """Look up the runs of results.

    Args:
        run_pk: The run of each result, 0 where there is none.
    """
    newest = AstroNNdist.select(fn.MAX(AstroNNdist.modified)).scalar()
    return Provenance(described(database), newest, origins_of(run_pk))


def origins_of(run_pk: Iterable[int]) -> list[Origin]:
    """The origins of results with these runs, each with its number of results."""
    keys, counts = np.unique(np.asarray(run_pk, np.int64), return_counts=True)
    runs = {run.pk: run for run in TaskRun.select().where(TaskRun.pk << keys.tolist())}
    found: Counter[Origin] = Counter()
    for key, count in zip(keys.tolist(), counts.tolist(), strict=True):
        found[_origin(runs.get(key))] += count
    return [replace(origin, rows=count) for origin, count in found.most_common()]


def _origin(run: TaskRun | None) -> Origin:
    if run is None:
        return Origin(*[None] * 7)
    return Origin(
        run.weights_name,
        run.weights_sha256,
        run.weights_range,
        run.seed,
        run.n_draws,
        run.precision,
        run.version,
    )
