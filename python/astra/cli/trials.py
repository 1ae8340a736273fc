"""``astra trials``."""

import typer

from astra.cli import trials_compare

app = typer.Typer(help="Results of a trial beside those of production.", rich_markup_mode=None)
app.command("compare", epilog=trials_compare.EXAMPLES)(trials_compare.compare)
