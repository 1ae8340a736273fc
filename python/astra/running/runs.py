"""The record of every run, and the rule that results of different weights do not mix."""

import json
import logging
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from peewee import fn

import astra
from astra.database.connection import now, writing
from astra.errors import ConfigError
from astra.models.pipeline import TaskRun, has_result, of_this_version
from astra.system.version import V_ASTRA_MAJOR_MINOR
from astra.tasks.contract import Provenance, Task
from astra.tasks.withheld import noted

log = logging.getLogger("astra")

#: What numbers depend on, and how a message calls it. The name of the weights is not among them.
_IDENTITY = {"weights_sha256": "weights", "seed": "seed", "n_draws": "draws", "precision": "precision"}


def refuse_to_mix(task: Task, provenance: Provenance, since: datetime | None = None) -> None:
    """Stop before rows of this version would come from different weights, seeds, draws or precisions.

    Args:
        task: The task.
        provenance: What this run would use.
        since: Only rows made at this time (UTC) or later will stay; ``None``: all of them.

    Raises:
        ConfigError: There are such rows; it says which.
    """
    results = task.output_model
    row = results.select(results.task_pk).where(
        results.run_pk == TaskRun.pk, of_this_version(results), has_result(results)
    )
    if since is not None:
        row = row.where(results.inputs_read >= since)
    # Who has taken all anew goes on, although the files of a few could not be read.
    could_be_read = row.where(results.spectrum_pk.not_in(noted(task)))
    runs = TaskRun.select(TaskRun, fn.EXISTS(could_be_read).alias("counts")).where(
        TaskRun.task == task.name, of_this_version(TaskRun), fn.EXISTS(row)
    )
    for run in runs.order_by(TaskRun.pk):
        for name, word in _IDENTITY.items():
            if getattr(run, name) == getattr(provenance, name):
                continue
            said = f"rows of {task.name} in this version come from {word} {_said(run, name)}"
            if run.counts:
                raise ConfigError(
                    f"{said}, this run would use {_said(provenance, name)}: run with the same, or give "
                    "--overwrite (all anew, not a part) or --allow-mixed"
                )
            log.warning("%s, and stay until their files can be read", said)


def _said(holder: TaskRun | Provenance, name: str) -> str:
    value = getattr(holder, name)
    if name == "weights_sha256":
        return f"{holder.weights_name} (sha256 {(value or 'none')[:12]})"
    return str(value)


def announce(provenance: Provenance) -> None:
    """Say at the start of a run which weights it takes, why, and what they are good for."""
    if provenance.weights_name is not None:
        facts = [_said(provenance, "weights_sha256"), provenance.weights_origin or ""]
        if provenance.weights_range:
            facts.append(f"range of validity: {provenance.weights_range}")
        log.info("weights %s", "; ".join(filter(None, facts)))


def begin(task: Task, provenance: Provenance, arguments: Mapping[str, Any]) -> TaskRun:
    """Record that a run has started.

    Raises:
        StorageError: The database refuses the record.
    """
    database = TaskRun._meta.database
    with writing(database):
        return TaskRun.create(
            task=task.name,
            version=astra.__version__,
            v_astra_major_minor=V_ASTRA_MAJOR_MINOR,
            arguments=json.dumps(arguments, sort_keys=True, default=str),
            host=socket.gethostname(),
            pid=os.getpid(),
            started=now(database),
            **asdict(provenance),
        )


def end(run: TaskRun, counts: Mapping[str, int], outcome: str) -> None:
    """Record how a run ended.

    Raises:
        StorageError: The database refuses the record.
    """
    database = TaskRun._meta.database
    with writing(database):
        TaskRun.update(finished=now(database), outcome=outcome, **counts).where(
            TaskRun.pk == run.pk
        ).execute()
