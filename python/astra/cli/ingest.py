"""``astra ingest``."""
import typer
app = typer.Typer(help="Register sources and spectra.", no_args_is_help=True, rich_markup_mode=None)
