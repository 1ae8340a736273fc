"""What is on record of a run: its report, its row in ``task_run``; and the rule what does not mix."""

import json
import logging
import os
import re
import socket
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from peewee import fn

import astra
from astra.database.connection import database, now, writing
from astra.errors import ConfigError
from astra.models.pipeline import TaskRun, has_result, of_this_version
from astra.running.ending import Ending
from astra.running.in_hand import InHand
from astra.running.rows import Tally
from astra.system.arguments import option_name
from astra.system.version import V_ASTRA, V_ASTRA_MAJOR_MINOR
from astra.tasks.contract import Provenance, Task
from astra.tasks.pending import read_before
from astra.tasks.withheld import noted

log = logging.getLogger("astra")

#: The counts that the row of a run keeps.
COUNTED = ("processed", "measured", "rederived", "no_result")

#: What numbers depend on, and how a message calls it. The name of the weights is not among them.
_IDENTITY = {"weights_sha256": "weights", "seed": "seed", "n_draws": "draws", "precision": "precision"}


class OtherOptions(ConfigError):
    """A run would use other values of options than the results so far; it can be given the same."""


@dataclass
class Report(Ending):
    """How a run went: what it did, and how it ended.

    ``to_do`` is what was pending at the start, where it was counted; ``fill`` is the name of what was filled;
    ``total`` is what is done and what is left for this run, as soon as that is known.
    """

    task: str
    fill: str | None = None
    provenance: Provenance = field(default_factory=Provenance)
    tally: Tally = field(default_factory=Tally)
    run_pk: int | None = None
    to_do: int | None = None
    total: int | None = None
    in_hand: InHand = field(default_factory=InHand)
    flag_names: tuple[str, ...] = ()

    @property
    def done(self) -> int:
        """The spectra that were dealt with, and those in hand that are measured and not yet written."""
        return self.tally.done + self.in_hand.measured

    def as_dict(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        tally, provenance = self.tally, self.provenance
        rate = (tally.processed + tally.filled) / self.elapsed_s if self.elapsed_s > 0 else 0.0
        return {
            "task": self.task,
            "v_astra": V_ASTRA,
            "run_pk": self.run_pk,
            **{name: getattr(tally, name) for name in COUNTED},
            "fill": self.fill,
            "filled": tally.filled,
            "flags": {name: tally.flags[name] for name in self.flag_names},
            "bad": tally.bad,
            "warn": tally.warn,
            "withheld": tally.withheld.total(),
            "withheld_reasons": dict(tally.withheld.most_common()),
            "kept": tally.kept,
            "pending": None if self.to_do is None else max(0, self.to_do - tally.done),
            "elapsed_s": round(self.elapsed_s, 3),
            "spectra_per_s": round(rate, 3),
            "weights": {name: getattr(provenance, f"weights_{name}") for name in ("name", "sha256", "range")},
            "seed": provenance.seed,
            **self.as_ended(),
        }


def refuse_to_mix(task: Task, provenance: Provenance, since: datetime | None = None) -> None:
    """Stop before rows of this version would differ in their weights, seed, draws, precision or options.

    Args:
        task: The task.
        provenance: What this run would use.
        since: Only rows made at this time (UTC) or later will stay; ``None`` if all will.

    Raises:
        ConfigError: There are such rows; it says which.
        OtherOptions: Likewise, and only options differ.
    """
    results, row = task.output_model, _row(task)
    if since is not None:
        row = row.where(~read_before(results, since))
    # A run that has replaced all others goes on, although the files of a few could not be read.
    could_be_read = row
    for spectra in task.spectrum_models:
        could_be_read = could_be_read.where(results.spectrum_pk.not_in(noted(task, spectra)))
    for run in _runs(task, row, fn.EXISTS(could_be_read).alias("counts")):
        for word, was, would_be in _differences(task, run, provenance):
            said = f"rows of {task.key} in this version come from {word} {was}"
            if run.counts:
                raise (OtherOptions if word.startswith("--") else ConfigError)(
                    f"{said}, this run would use {would_be}: run with the same, or give "
                    "--overwrite (all anew, not a part) or --allow-mixed"
                )
            log.warning("%s, and stay until their files can be read", said)


def mixture(task: Task) -> dict[str, int]:
    """The numbers of rows in this version by what tells their origins apart, most first.

    An origin is weights, seed, draws, precision and options; where all rows have the same, there is nothing.
    """
    origins = {run.pk: _origin(task, run) for run in _runs(task, _row(task))}
    names = [
        name for name in next(iter(origins.values()), {}) if len({o[name] for o in origins.values()}) > 1
    ]
    if not names:
        return {}
    results, numbers = task.output_model, Counter()
    query = results.select(results.run_pk, fn.COUNT(results.task_pk)).where(
        of_this_version(results), has_result(results), results.run_pk.is_null(False)
    )
    for run_pk, rows in query.group_by(results.run_pk).tuples():
        if run_pk in origins:
            numbers[", ".join(f"{name} {origins[run_pk][name]}" for name in names)] += rows
    return dict(numbers.most_common())


def newest(task: Task) -> TaskRun | None:
    """The newest run of this version that rows are left of: with what it began, and no more of it.

    These columns were always there, so that it is known before an upgrade as well.
    """
    named = ("pk", *_IDENTITY, "weights_name", "arguments")
    columns = [getattr(TaskRun, name) for name in named]
    return _runs(task, _row(task)).select(*columns).order_by(TaskRun.pk.desc()).first()


def _row(task: Task) -> Any:
    """A result of a run in this version, as a part of a query of runs."""
    results = task.output_model
    return results.select(results.task_pk).where(
        results.run_pk == TaskRun.pk, of_this_version(results), has_result(results)
    )


def _runs(task: Task, row: Any, *more: Any) -> Any:
    """The runs of this version that such a row is left of, in their order.

    They may be runs of another set of results: rows that were promoted come from those of the trial.
    """
    return TaskRun.select(TaskRun, *more).where(of_this_version(TaskRun), fn.EXISTS(row)).order_by(TaskRun.pk)


def _origin(task: Task, run: TaskRun) -> dict[str, str]:
    options = {option_name(name): str(value) for name, value in task.options_of(run.options).items()}
    return {word: _said(run, name) for name, word in _IDENTITY.items()} | options


def _differences(task: Task, run: TaskRun, provenance: Provenance) -> Iterator[tuple[str, str, str]]:
    """What numbers depend on and would not be the same: its name, what it was, what it would be."""
    for name, word in _IDENTITY.items():
        if getattr(run, name) != getattr(provenance, name):
            yield word, _said(run, name), _said(provenance, name)
    before = task.options_of(run.options)
    for name, value in task.options_of(provenance.options).items():
        if before[name] != value:
            yield option_name(name), str(before[name]), str(value)


def weights_of(holder: TaskRun | Provenance) -> str:
    """The name of the weights of a run, and the beginning of their checksum."""
    return f"{holder.weights_name} (sha256 {(holder.weights_sha256 or 'none')[:12]})"


def _said(holder: TaskRun | Provenance, name: str) -> str:
    return weights_of(holder) if name == "weights_sha256" else str(getattr(holder, name))


def announce(provenance: Provenance) -> None:
    """Say at the start of a run which weights it takes, why, and what they are good for."""
    if provenance.weights_name is None:
        return
    log.info("weights %s", "; ".join(filter(None, [weights_of(provenance), provenance.weights_origin])))
    if provenance.weights_range:
        log.info("valid: %s", _in_short(provenance.weights_range))


def _in_short(text: str) -> str:
    """The first part of a range of validity; `astra models show` has all of it."""
    return re.split("[:;]", text, maxsplit=1)[0].strip()


def this_process() -> dict[str, Any]:
    """The columns that say where and when this process began something."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "started": now(database)}


def begin(task: Task, provenance: Provenance, arguments: Mapping[str, Any]) -> TaskRun:
    """Record that a run has started.

    Raises:
        StorageError: The database refuses the record.
    """
    columns = asdict(provenance)
    if (path := columns.pop("weights_path")) is not None:
        # By which a later run finds them again; a path among the arguments may be relative.
        arguments = {**arguments, "weights_path": path}
    with writing(database):
        return TaskRun.create(
            task=task.key,
            version=astra.__version__,
            v_astra_major_minor=V_ASTRA_MAJOR_MINOR,
            arguments=json.dumps(arguments, sort_keys=True, default=str),
            **this_process(),
            **columns,
        )


def end(run: TaskRun, tally: Tally, outcome: str) -> None:
    """Record how a run ended.

    Raises:
        StorageError: The database refuses the record.
    """
    counts = {name: getattr(tally, name) for name in COUNTED}
    with writing(database):
        closed = TaskRun.update(finished=now(database), outcome=outcome, **counts)
        closed.where(TaskRun.pk == run.pk).execute()
