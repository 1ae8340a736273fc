"""What ``astra trials list`` shows: of each trial its state, its results and what is pending."""

from typing import Any

from peewee import fn

from astra.errors import ConfigError, UsageError, nearest
from astra.models.pipeline import TaskRun, TaskTrial
from astra.running.runs import weights_of
from astra.tasks.contract import Task
from astra.tasks.installed import find_task, short_name
from astra.tasks.pending import Selection, count_pending
from astra.tasks.trials import entered, find_trial, trial_name


def list_trials() -> list[dict[str, Any]]:
    """All trials of all tasks, in the order in which they were made.

    Returns:
        Objects for ``--json``; ``pending`` is ``None`` where it is not to be done, or cannot be known:
        then ``error`` says why.
    """
    return [_described(trial) for trial in TaskTrial.select().order_by(TaskTrial.created, TaskTrial.name)]


def look_up(word: str) -> tuple[Task, TaskTrial]:
    """A trial by ``TASK@trial-NAME``, or by its name alone where only one task has such a trial.

    Raises:
        UsageError: There is no such trial, or several.
        ConfigError: The package of its task is broken.
    """
    task_name, at, text = word.rpartition("@")
    name = trial_name(text)
    if at:
        task = find_task(short_name(task_name))
        if (trial := find_trial(task, name)) is None:
            raise UsageError(f"task {task.name} has no {name}; `astra trials list` shows what there is")
        return task, trial
    found = list(TaskTrial.select().where(TaskTrial.name == name).order_by(TaskTrial.task))
    if not found:
        near = nearest(name, [each.name for each in TaskTrial.select(TaskTrial.name)], None)
        raise UsageError(f"no task has a {name}; `astra trials list` shows what there is{near}")
    if len(found) > 1:
        keys = " or ".join(f"{trial.task}@{name}" for trial in found)
        raise UsageError(f"several tasks have a {name}: give {keys}")
    return find_task(found[0].task), found[0]


def _described(trial: TaskTrial) -> dict[str, Any]:
    found = {
        "name": trial.name,
        "task": trial.task,
        "state": trial.state,
        "table": trial.table_name,
        "ebv_from": trial.ebv_from,
        "created": trial.created,
        "made_by": trial.made_by,
        "promoted": trial.promoted,
        "rolled_back": trial.rolled_back,
        **dict.fromkeys(("rows", "pending", "error")),
        "weights": [],
        "weights_used": [],
    }
    try:
        with entered(find_task(trial.task), trial.name) as task:
            found |= _counted(task)
            if trial.state == TaskTrial.OPEN:
                found["pending"] = count_pending(Selection(task))
    except (ConfigError, UsageError) as error:
        found["error"] = str(error)
    return found


def _counted(task: Task) -> dict[str, Any]:
    results = task.output_model
    run_pks = [pk for (pk,) in results.select(results.run_pk).distinct().tuples()]
    runs = TaskRun.select().where(TaskRun.pk << run_pks, TaskRun.weights_name.is_null(False))
    weights = {weights_of(run): run for run in runs.order_by(TaskRun.pk)}
    used = [{"name": run.weights_name, "sha256": run.weights_sha256} for run in weights.values()]
    rows = results.select(fn.COUNT(results.task_pk)).scalar()
    return {"rows": rows, "weights": list(weights), "weights_used": used}
