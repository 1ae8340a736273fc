"""``astra config``."""

import typer

from astra.cli.console import AsJson, examples, note, say, say_json

app = typer.Typer(help="Show the settings.", rich_markup_mode=None)

EXAMPLES = examples(
    "astra config show",
    "astra config show --json",
)


@app.command(epilog=EXAMPLES)
def show(as_json: AsJson = False) -> None:
    """Show what is in force and where it came from; secrets are hidden."""
    from astra.config import config_file, load_settings, overlooked_files

    file = config_file()
    rows = [(name, str(value), origin) for name, value, origin in load_settings().flat()]
    if as_json:
        settings = {name: {"value": value, "origin": origin} for name, value, origin in rows}
        # The settings at the top, as schema 1 had them.
        say_json(settings | {"settings": settings, "settings_file": str(file)})
    else:
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        for name, value, origin in rows:
            say(f"{name:<{widths[0]}}  {value:<{widths[1]}}  {origin}")
        say(f"(settings file: {file})" if file.exists() else f"(no settings file at {file})")
    if others := overlooked_files():
        note(f"warning: several settings files: {file} is read, {' and '.join(map(str, others))} not")


@app.callback()
def _group() -> None:
    """Keep `show` a command of its own."""
