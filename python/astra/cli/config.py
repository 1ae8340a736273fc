"""``astra config``."""

from typing import Annotated

import typer

from astra.cli.console import AsJson, examples, note, say, say_json

app = typer.Typer(help="Show the settings.", rich_markup_mode=None)

EXAMPLES = examples(
    "astra config show",
    "astra config show weights",
    "astra config show --json",
)


Setting = Annotated[str | None, typer.Argument(metavar="SETTING", help="Only this one, e.g. weights.")]


@app.command(epilog=EXAMPLES)
def show(setting: Setting = None, as_json: AsJson = False) -> None:
    """Show what is in force and where it came from; secrets are hidden."""
    from astra.config import config_file, known_settings, load_settings, overlooked_files
    from astra.errors import UsageError, nearest

    file = config_file()
    rows = [(name, str(value), origin) for name, value, origin in load_settings().flat()]
    if setting is not None:
        known = [name for name, _ in known_settings()]
        rows = [row for row in rows if row[0] == setting]
        if not rows and setting not in known:
            raise UsageError(f"no setting {setting}{nearest(setting, known)}")
        rows = rows or [(setting, "", "not set")]
    if as_json:
        settings = {name: {"value": value, "origin": origin} for name, value, origin in rows}
        # The settings at the top, as schema 1 had them.
        say_json(settings | {"settings": settings, "settings_file": str(file)})
    else:
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        for name, value, origin in rows:
            say(f"{name:<{widths[0]}}  {value:<{widths[1]}}  {origin}")
        if setting is None:
            say(f"(settings file: {file})" if file.exists() else f"(no settings file at {file})")
    if others := overlooked_files():
        note(f"warning: several settings files: {file} is read, {' and '.join(map(str, others))} not")


@app.callback()
def _group() -> None:
    """Keep `show` a command of its own."""
