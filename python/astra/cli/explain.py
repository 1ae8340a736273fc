"""``astra explain``."""

from typing import Annotated

import typer

from astra.cli.console import AsJson, examples, say, say_json

EXAMPLES = examples(
    "astra explain 2049",
    "astra explain 0x5",
    "astra explain flag_no_result flag_missing_extinction",
    "astra explain SUSPECT_RV_COMBINATION",
    "astra explain 17 --kind spectrum_flags",
    "astra explain 9 --kind ebv_flags",
    "astra explain 5 --task astronn_dist",
)


Flags = Annotated[
    list[str], typer.Argument(metavar="FLAGS", help="A number (decimal, 0x…, 0b…), or names of flags.")
]
Kind = Annotated[
    str | None,
    typer.Option(
        "--kind",
        metavar="<result_flags|spectrum_flags|ebv_flags|…>",
        help="The column that the flags are in; with --task, any of its results or spectra. Default: the one "
        "that has these names, and result_flags for numbers alone.",
    ),
]
OfTask = Annotated[
    str | None,
    typer.Option("--task", metavar="TASK", help="The task whose flags are meant; else astronn_dist."),
]


def explain(flags: Flags, kind: Kind = None, task: OfTask = None, as_json: AsJson = False) -> None:
    """Say in words what flags mean, and whether they make a result bad or one to look at twice.

    Several numbers or names count together. Names may be those of the survey, and STARFLAG names
    spectrum_flags. Exit codes: 0 said; 2 no such number, flag, column or task; 78
    the task cannot be loaded.
    """
    from astra.errors import UsageError
    from astra.models.explain import OF_DISTANCES
    from astra.models.explain import explain as explained

    models = OF_DISTANCES
    if task is not None:
        from astra.models import Source
        from astra.tasks.installed import find_task

        chosen = find_task(task)
        models = (chosen.output_model, *chosen.spectrum_models, Source)
    try:
        found = explained(flags, kind, models)
    except UsageError as error:
        if task is None and (others := _tasks_with(flags)):
            raise UsageError(f"{error}; {' and '.join(others)} has it: give --task {others[0]}") from None
        raise
    if as_json:
        say_json(found.as_dict(), "explain")
    else:
        say(*found.lines())


def _tasks_with(words: list[str]) -> list[str]:
    """The installed tasks whose results have a flag with one of these names."""
    from astra.models.fields import flags_of
    from astra.tasks.contract import Task
    from astra.tasks.installed import installed_tasks

    tasks = [task for task in installed_tasks().values() if isinstance(task, Task)]
    return [task.name for task in tasks if not flags_of(task.output_model).keys().isdisjoint(words)]
