"""``astra trials``."""

from typing import Annotated, Any

import typer

from astra.cli import trials_compare
from astra.cli.console import AsJson, database_session, examples, note, say, say_json, say_table

app = typer.Typer(help="Make, compare, promote and drop results beside production.", rich_markup_mode=None)

EXAMPLES_LIST = examples("astra trials list", "astra trials list --json")
EXAMPLES_NEW = examples(
    "astra trials new astronn_dist trial-new",
    "astra trials new astronn_dist trial-dust --ebv-from dust.csv",
)
EXAMPLES_PROMOTE = examples("astra trials promote trial-new", "astra trials promote trial-new --json")
EXAMPLES_ROLLBACK = examples("astra trials rollback trial-new")
EXAMPLES_DROP = examples("astra trials drop trial-new --yes", "astra trials drop astronn_dist@trial-new")

Name = Annotated[str, typer.Argument(metavar="TRIAL", help="trial-NAME, or TASK@trial-NAME.")]


@app.command("list", epilog=EXAMPLES_LIST)
def list_trials(as_json: AsJson = False) -> None:
    """Show all trials: state, results, weights, what is pending, since when, and by whom."""
    from astra.trials import overview

    with database_session():
        found = overview.list_trials()
    if as_json:
        say_json({"trials": found}, "trials list")
    elif found:
        _say_table(found)
    else:
        say("there are no trials; `astra run TASK --into trial-NAME` makes one")


@app.command(epilog=EXAMPLES_NEW)
def new(
    task: Annotated[str, typer.Argument(help="The task.")],
    name: Annotated[str, typer.Argument(metavar="trial-NAME", help="The name, of a-z, 0-9 and hyphens.")],
    ebv_from: Annotated[
        str | None,
        typer.Option(metavar="COLUMN|TABLE", help="E(B-V) from this column of source, or this file."),
    ] = None,
) -> None:
    """Make an empty trial, into which writers may run; a run makes one itself where its login may.

    Exit codes: 0 done, 2 wrong usage, 69 database not reachable, 74 the database refused it, 78 wrong
    configuration or schema.
    """
    from astra.tasks.installed import find_task, short_name
    from astra.tasks.trials import trial_name
    from astra.trials.making import make_trial

    found = find_task(short_name(task))
    with database_session():
        trial = make_trial(found, trial_name(name), ebv_from)
    say(f"{trial.name} is ready, in the table {trial.table_name}")
    note(f"to use it: astra run {found.name} --into {trial.name}")


app.command("compare", epilog=trials_compare.EXAMPLES)(trials_compare.compare)


@app.command(epilog=EXAMPLES_PROMOTE)
def promote(
    trial: Name,
    allow_mixed: Annotated[
        bool, typer.Option("--allow-mixed", help="Leave results of which the trial has none where they are.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Give production the results of a trial, at one moment for all readers; the trial keeps what was there.

    Exit codes: 0 done, 2 wrong usage, 69 database not reachable, 74 the database refused it, 75 a worker of
    production or of the trial lives: try again, 78 it would leave a mixture, or the trial cannot be promoted.
    """
    from astra.trials import promotion
    from astra.trials.overview import look_up

    with database_session():
        task, chosen = look_up(trial)
        swap = promotion.promote(task, chosen, allow_mixed=allow_mixed)
        differs = promotion.what_differs(task)
    if as_json:
        say_json(swap.as_dict(), "trials promote")
        return
    say(f"{swap.trial} is promoted: {swap.swapped:,} results replaced, {swap.moved:,} new in production")
    for number, what in (
        (swap.left, "results of production stayed, of whose spectra the trial has nothing"),
        (swap.lost, "results were replaced by rows without a result"),
        (swap.pending, "spectra were pending in the trial"),
    ):
        if number:
            note(f"{number:,} {what}")
    if differs:
        note(f"a run of production without options would end with 78: {differs}")
    note(f"to take it back: astra trials rollback {swap.trial}")


@app.command(epilog=EXAMPLES_ROLLBACK)
def rollback(trial: Name, as_json: AsJson = False) -> None:
    """Give production back what it had before a trial was promoted, at one moment for all readers.

    What its runs have made since then, of spectra that had no result, moves into the trial: these spectra are
    pending again. Exit codes: as of promote.
    """
    from astra.trials import promotion
    from astra.trials.overview import look_up

    with database_session():
        swap = promotion.rollback(*look_up(trial))
    if as_json:
        say_json(swap.as_dict(), "trials rollback")
        return
    say(
        f"{swap.trial} is rolled back: {swap.swapped:,} results restored, {swap.moved:,} moved into the trial"
    )
    if swap.since:
        note(f"of these, {swap.since:,} were made since the promotion; their spectra are pending again")


@app.command(epilog=EXAMPLES_DROP)
def drop(
    trial: Name,
    yes: Annotated[
        bool, typer.Option("--yes", help="Drop it also if it has results, which are lost.")
    ] = False,
) -> None:
    """Remove a trial and its results for ever.

    Of a promoted one, these are what production had before. Exit codes: 0 done, 2 wrong usage, 69 database
    not reachable, 74 the database refused it, 75 a worker of the trial lives: try again, 78 another trial was
    promoted before it and still is: drop that one first.
    """
    from astra.trials.making import drop_trial
    from astra.trials.overview import look_up

    with database_session():
        task, found = look_up(trial)
        drop_trial(task, found, also_results=yes)
    say(f"{found.name} is gone")


def _say_table(found: list[dict[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("name", "task", "state", "rows", "pending", "since", "by", "E(B-V)"):
        table.add_column(heading, justify="right" if heading in ("rows", "pending") else "left")
    table.add_column("weights", overflow="fold")
    for each in found:
        numbers = ("-" if each[name] is None else f"{each[name]:,}" for name in ("rows", "pending"))
        since = f"{each['promoted'] or each['created']:%Y-%m-%d %H:%M}"
        origin = each["ebv_from"] or "source.ebv"
        last = each["error"] or ", ".join(each["weights"])
        cells = (each["name"], each["task"], each["state"], *numbers, since, each["made_by"], origin, last)
        table.add_row(*map(Text, cells))
    say_table(table)
