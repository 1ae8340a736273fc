"""How far a task is: pending, done, flagged, and its recent runs."""

from collections import Counter
from typing import Any

import astra
from astra.models.pipeline import TaskRun
from astra.pending import Selection, count_pending
from astra.tasks import Task
from astra.version import V_ASTRA_MAJOR_MINOR

RECENT_RUNS = 5
COMMON_REASONS = 5


def status_of(task: Task) -> dict[str, Any]:
    """Count what a task has done under this version.

    Returns:
        ``task, version, spectra, done, pending, bad, warn, flags, no_result_reasons, runs``.
    """
    results = task.output_model
    current = results.v_astra_major_minor == V_ASTRA_MAJOR_MINOR

    def count(condition: Any) -> int:
        return results.select().where(current, condition).count()

    return {
        "task": task.name,
        "version": astra.__version__,
        "spectra": task.spectrum_model.select().count(),
        "done": count(results.task_pk.is_null(False)),
        "pending": count_pending(Selection(task)),
        "bad": count(results.flag_bad) if hasattr(results, "flag_bad") else 0,
        "warn": count(results.flag_warn) if hasattr(results, "flag_warn") else 0,
        "flags": {name: count(getattr(results, name)) for name in results.flag_names()},
        "no_result_reasons": _reasons(task, current),
        "runs": _recent_runs(task),
    }


def _reasons(task: Task, current: Any) -> dict[str, int]:
    reason = getattr(task.output_model, "no_result_reason", None)
    if reason is None:
        return {}
    # Up to the first colon a reason names its kind, after it the file.
    query = task.output_model.select(reason).where(current, reason.is_null(False)).tuples()
    kinds = Counter(text.partition(":")[0] for (text,) in query.iterator())
    return dict(kinds.most_common(COMMON_REASONS))


def _recent_runs(task: Task) -> list[dict[str, Any]]:
    runs = TaskRun.select().where(TaskRun.task == task.name).order_by(TaskRun.pk.desc()).limit(RECENT_RUNS)
    names = (
        "host",
        "pid",
        "started",
        "finished",
        "outcome",
        "processed",
        "measured",
        "rederived",
        "no_result",
    )
    return [{"run_pk": run.pk} | {name: getattr(run, name) for name in names} for run in runs]
