"""``astra ingest``: one file for each command, named after it.

apstar.py, allstar.py, mwmstar.py, catalog.py, astra.py
shared.py  the arguments that several have in common, and how they say what they did
"""

from importlib import import_module

import typer

app = typer.Typer(help="Register sources and spectra.", rich_markup_mode=None)
# In the order in which the help lists them.
for _name in ("apstar", "allstar", "mwmstar", "catalog", "astra"):
    _module = import_module(f"astra.cli.ingest.{_name}")
    app.command(epilog=_module.EXAMPLES)(getattr(_module, _name))
