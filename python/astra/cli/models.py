"""``astra models``."""

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from astra.cli import models_compare
from astra.cli.console import AsJson, examples, note, say, say_json, say_table

if TYPE_CHECKING:
    from astra.config import Settings
    from astra.pipelines.astronn_dist.weights.library import InForce, Listed

app = typer.Typer(help="List, inspect, compare, import and remove models (weights).", rich_markup_mode=None)

app.command(epilog=models_compare.EXAMPLES)(models_compare.compare)

EXAMPLES_LIST = examples(
    "astra models list",
    "astra models list --json",
)
EXAMPLES_SHOW = examples(
    "astra models show",
    "astra models show dr17",
    "astra models show downloads/model.safetensors --json",
)
EXAMPLES_IMPORT = examples(
    "astra models import astroNN_dist_model_parameter.pt --name dr17",
    "astra models import downloads/astroNN_gaia_dr17_model_3 --name dr17 --overwrite",
    'astra models import mine.pt --name mine --describe "DR17 giants" --range "giants of 3800 to 5200 K"',
    "astra run astronn_dist --weights dr17",
)
EXAMPLES_CARD = examples(
    "astra models card",
    "astra models card mine.safetensors > mine.md",
)
EXAMPLES_REMOVE = examples(
    "astra models remove dr17",
    "astra models remove dr17 --force",
)


@app.command("list", epilog=EXAMPLES_LIST)
def list_models(as_json: AsJson = False) -> None:
    """Show the models of the package, those in ASTRA_MODELS_DIR, and which is in force (*).

    In force is what the next run takes if it names no weights: those of the rows in the database.
    """
    from astra.config import load_settings
    from astra.pipelines.astronn_dist.weights import library

    settings = load_settings()
    found = library.list_models(settings, _in_force(settings))
    if as_json:
        models = [dataclasses.asdict(model) for model in found.models]
        say_json(
            {"models_dir": settings.models_dir, "models": models, "problem": found.problem}, "models list"
        )
        return
    if found.models:
        _say_table([_row(model) for model in found.models])
    for model in found.models:
        if model.chosen_by:
            say(f"* in force: {model.name} ({model.chosen_by})")
    if found.problem:
        say(f"in force: none ({found.problem})")
    say(f"models folder: {settings.models_dir}")


@app.command(epilog=EXAMPLES_SHOW)
def show(
    name: Annotated[str | None, typer.Argument(help="A name or a path; default: the one in force.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what is known of a model: what it was made from, what it is good for, how it was measured."""
    from astra.config import load_settings
    from astra.pipelines.astronn_dist.weights.library import describe_model

    settings = load_settings()
    found = describe_model(name, settings, _in_force(settings))
    if as_json:
        say_json(found)
    else:
        _say_model(found)


@app.command(epilog=EXAMPLES_CARD)
def card(
    name: Annotated[str | None, typer.Argument(help="A name or a path; default: the one in force.")] = None,
) -> None:
    """Print the card of a model as Markdown: its stars, its range of validity, its own test."""
    from astra.config import load_settings
    from astra.pipelines.astronn_dist.weights import card, library
    from astra.pipelines.astronn_dist.weights.files import load_weights

    settings = load_settings()
    path = library.path_of(name, settings, _in_force(settings))
    say(*card.card(load_weights(path, "see `astra models list`")).rstrip().split("\n"))


@app.command("import", epilog=EXAMPLES_IMPORT)
def import_model(
    path: Annotated[str, typer.Argument(help="A .pt checkpoint, an astroNN folder or a .safetensors file.")],
    name: Annotated[str, typer.Option(help="What --weights shall call it.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model of this name.")] = False,
    describe: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What it is, in place of what its maker says.")
    ] = None,
    valid_for: Annotated[
        str | None,
        typer.Option("--range", metavar="TEXT", help="What it is good for, as you state it."),
    ] = None,
) -> None:
    """Convert a model of any format to .safetensors in ASTRA_MODELS_DIR, under a name of your choice.

    A range is what `astra run` and `astra models list` print, and what each run notes. It is a statement:
    nothing is computed from it. The file keeps that you stated it, and what its maker did.
    """
    from astra.config import expand_path, load_settings
    from astra.pipelines.astronn_dist.weights import library

    found = library.import_model(
        *(expand_path(path), name, load_settings()),
        overwrite=overwrite,
        description=describe,
        valid_for=valid_for,
    )
    say(f"imported: {found['path']} (sha256 {found['sha256'][:12]})")
    if not found["range"]:
        note("its range of validity is not stated; --range TEXT --overwrite states one")
    say(f"to use it: {found['use']}")


@app.command(epilog=EXAMPLES_REMOVE)
def remove(
    name: Annotated[str, typer.Argument(help="The name of an imported model.")],
    force: Annotated[bool, typer.Option("--force", help="Also if results are from it.")] = False,
) -> None:
    """Remove a model from ASTRA_MODELS_DIR. Results stay, and so does the file that it was imported from.

    Refused are the models of the package, the one that the configuration names and, without --force, one
    that has made results in the configured database: runs that go on with these need it. Exit codes: 0
    removed; 2 refused; 69 database not reachable; 78 no such model, or it cannot be removed.
    """
    from astra.config import load_settings
    from astra.errors import UsageError
    from astra.pipelines.astronn_dist.weights import library
    from astra.pipelines.astronn_dist.weights.files import identify
    from astra.running.uses import rows_made_with

    settings = load_settings()
    path = library.removable(name, settings)
    sha256 = identify(path)[1]
    rows = rows_made_with(sha256, settings)
    made = ", ".join(f"{count:,} in {table}" for table, count in rows.items())
    if made and not force:
        raise UsageError(
            f"cannot remove {name}: results are from it ({made}), and runs that go on with these need it; "
            "--force removes it all the same, and leaves the results"
        )
    library.remove_model(path)
    say(f"removed: {path} (sha256 {sha256[:12]})")
    if made:
        say(f"its results stay: {made}")
        say("a run that goes on with them needs the same file; others need --overwrite")


def _in_force(settings: "Settings") -> "InForce":
    """The weights that the next run takes if it names none."""
    from pathlib import Path

    from astra.errors import ConfigError
    from astra.pipelines.astronn_dist.task import astronn_dist
    from astra.pipelines.astronn_dist.weights.library import Chosen, InForce
    from astra.running.going_on import settle_on

    try:
        found = settle_on(astronn_dist, settings).provenance
    except ConfigError as error:
        return InForce(None, str(error))
    return InForce(Chosen(Path(found.weights_path), found.weights_origin))


# > Presentation


def _row(model: "Listed") -> list[str]:
    remark = f"cannot be used: {model.fault}" if model.fault else model.range or "not stated"
    if model.earlier_default:
        remark = f"earlier default; {remark}"
    if model.hidden_by:
        remark = f"by its path only, for {model.hidden_by.name} has the name; {remark}"
    size, sha256 = f"{model.bytes / 1e6:.1f} MB", (model.sha256 or "-")[:12]
    return ["*" if model.chosen_by else "", model.name, model.format, model.place, size, sha256, remark]


def _say_table(rows: list[list[str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "name", "format", "place", "size", "sha256"):
        table.add_column(heading, no_wrap=True, justify="right" if heading == "size" else "left")
    table.add_column("range of validity", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    say_table(table)


def _say_model(found: dict[str, Any]) -> None:
    from astra.pipelines.astronn_dist.weights import calibration, missing

    chosen = f" (in force: {found['chosen_by']})" if found["chosen_by"] else ""
    earlier = " (earlier default)" if found["earlier_default"] else ""
    widens = f"yes ({found['components']} components)" if found["widens_errors"] else "no"
    costs, nodes = found["cost_of_a_detector"], found["calibration_nodes"]
    lost = "nothing" if costs is None else ", ".join(f"{name} {cost:.0%}" for name, cost in costs.items())
    # The tables themselves are for --json.
    tables = calibration.TABLE, missing.TABLE
    details = {name: value for name, value in found["details"].items() if name not in tables}
    facts = {
        "name": found["name"] + earlier + chosen,
        "sha256": found["sha256"],
        "path": found["path"],
        "format": f"{found['format']}, {found['bytes'] / 1e6:.1f} MB",
        "parameters": f"{found['parameters']:,}",
        "labels_std": f"{found['labels_std']:.6g} mas",
        "range of validity": _stated(found),
        "widens errors out of range": widens,
        "adds for a lost detector": lost,
        "calibrated by luminosity and S/N": f"yes (at {nodes} nodes)" if nodes else "no",
        "details": details or "its maker noted none",
    }
    say(*(line for name, value in facts.items() for line in _lines(name, value)))
    say(f"to use it: {found['use']}")


def _stated(found: dict[str, Any]) -> str:
    by = " (stated at import)" if "range" in found["details"].get("stated_by_importer", ()) else ""
    return (found["range"] or "not stated") + by


def _lines(name: str, value: Any, indent: str = "") -> Iterator[str]:
    """A name with its value, on one line where it fits, else with the parts of the value below."""
    head = f"{indent}{name}:"
    if isinstance(value, dict) and value:
        below = [(str(key).replace("_", " "), part) for key, part in value.items()]
    elif isinstance(value, list) and any(isinstance(part, dict | list) for part in value):
        below = [(str(number), part) for number, part in enumerate(value, 1)]
    else:
        parts = value if isinstance(value, list) else [value]
        yield f"{head} {', '.join(map(_word, parts))}".rstrip()
        return
    yield head
    for key, part in below:
        yield from _lines(key, part, indent + "  ")


def _word(value: Any) -> str:
    if isinstance(value, dict):
        return "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
