"""``astra tasks``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from astra.cli.console import AsJson, examples, say, say_json, say_table
from astra.system.arguments import expanded, option_name

if TYPE_CHECKING:
    from astra.models.fields import Flag
    from astra.tasks.contract import Task

app = typer.Typer(help="List, inspect and begin tasks.", rich_markup_mode=None)

EXAMPLES_LIST = examples(
    "astra tasks list",
    "astra tasks list --json",
)
EXAMPLES_SHOW = examples(
    "astra tasks show astronn_dist",
    "astra tasks show astronn_dist --json",
)
EXAMPLES_NEW = examples(
    "astra tasks new my_task my-task",
    "pip install --editable my-task && astra init && astra run my_task",
)


@app.callback(invoke_without_command=True)
def tasks(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_tasks()


@app.command("list", epilog=EXAMPLES_LIST)
def list_tasks(as_json: AsJson = False) -> None:
    """Show the installed tasks, and what is wrong with those that cannot be loaded."""
    from astra.tasks.contract import Task
    from astra.tasks.installed import installed_tasks, without_effect

    found = installed_tasks()
    if as_json:
        facts = {name: _facts(each) if isinstance(each, Task) else str(each) for name, each in found.items()}
        tasks = [
            _listed(each) if isinstance(each, Task) else _refused(name, each) for name, each in found.items()
        ]
        # The tasks at the top, as schema 1 had them.
        say_json(facts | {"tasks": tasks})
        return
    from rich.table import Table

    table = Table("task", "spectra", "results", "what it does", box=None, pad_edge=False)
    for name, each in found.items():
        if isinstance(each, Task):
            facts = _facts(each)
            table.add_row(name, facts["spectra"], facts["table"], facts["summary"])
        else:
            table.add_row(name, "", "", f"cannot be used: {each}")
    say_table(table)
    for line in without_effect():
        say(line)


@app.command(epilog=EXAMPLES_SHOW)
def show(
    name: Annotated[str, typer.Argument(metavar="TASK", help="The task, e.g. astronn_dist.")],
    as_json: AsJson = False,
) -> None:
    """Show a task: what it takes, the columns and flags of its results, and its options."""
    from astra.tasks.installed import find_task

    task = find_task(name)
    if as_json:
        say_json(_facts(task) | _listed(task) | _details(task), "tasks show")
        return
    from astra.models.fields import flags_of

    facts, details = _facts(task), _details(task)
    details["flags"] = {name: _said_of(task, flag) for name, flag in flags_of(task.output_model).items()}
    for each in task.options.values():
        effect = "changes numbers" if each.declared.changes_numbers else "changes no numbers"
        details["options"][option_name(each.name)] += f" [{each.wanted}; {effect}]"
    say(f"{task.name}: {facts['summary']}")
    say(f"spectra  {facts['spectra']}")
    say(f"results  {facts['table']}")
    for heading in ("columns", "flags", "options", *(["fills"] if task.fills else [])):
        say("", heading)
        width = max(map(len, details[heading]), default=0)
        for key, text in details[heading].items():
            say(f"  {key:<{width}}  {text}".rstrip())


@app.command(epilog=EXAMPLES_NEW)
def new(
    name: Annotated[str, typer.Argument(help="Name of the task, of its module and of its table.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder.")],
) -> None:
    """Begin a package that adds a task: a model, the task, a migration, and a test that passes."""
    from astra.tasks.skeleton import write_skeleton

    folder = expanded(folder)
    for path in write_skeleton(name, folder):
        say(str(path))
    say("next:")
    say(f"  pip install --editable '{folder}[test]' && pytest {folder}")
    say(f"  astra init && astra run {name}")


def _listed(task: "Task") -> dict[str, Any]:
    models = [model.__name__ for model in task.spectrum_models]
    facts = _facts(task)
    return {
        "task": task.name,
        "summary": facts["summary"],
        "spectrum_models": models,
        "table": facts["table"],
    }


def _refused(name: str, error: Exception) -> dict[str, Any]:
    return {"task": name, "error": str(error)}


def _facts(task: "Task") -> dict[str, Any]:
    return {
        "summary": (task.__doc__ or "").strip().partition("\n")[0],
        "spectra": ", ".join(model.__name__ for model in task.spectrum_models),
        "table": task.output_model._meta.table_name,
    }


def _said_of(task: "Task", flag: "Flag") -> str:
    """The bit of a flag, what it makes of a row, and what it means."""
    made = [name for name in ("BAD", "WARN") if flag.value & getattr(task.output_model, name, 0)]
    effects = [f"[flag_{name.lower()}]" for name in made if flag.field.name == "result_flags"]
    return f"{' '.join([f'bit {flag.bit}', *effects])}: {flag.help_text or ''}"


def _details(task: "Task") -> dict[str, dict[str, str]]:
    from astra.models.fields import flags_of

    return {
        "columns": {each.column_name: each.help_text or "" for each in task.output_model._meta.sorted_fields},
        "flags": {name: each.help_text or "" for name, each in flags_of(task.output_model).items()},
        "options": {
            option_name(each.name): f"{each.declared.help or ''} (default: {each.default})".strip()
            for each in task.options.values()
        },
        "fills": {name: ", ".join(fill.columns) for name, fill in task.fills.items()},
    }
