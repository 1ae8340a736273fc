"""``astra train``."""

import typer

from astra.cli.console import database_session, note, say
from astra.cli.progress import stages
from astra.damage import importing
from astra.modelling.training.request import Origin, TrainingRequest
from astra.system.arguments import takes

app = typer.Typer(help="Train your own weights.", rich_markup_mode=None)

EXAMPLES = """Examples:

  astra train astronn_dist --from simulator --output my.safetensors

  astra train astronn_dist --from database --output dr17.safetensors --device cuda

  astra train astronn_dist --from database --output dr17.safetensors --max-ruwe 1.2 --zero-point -0.034

  astra run astronn_dist --weights dr17.safetensors
"""

#: How a file names the database that it was made from: secrets are masked in the address.
PLACE = tuple(f"database.{name}" for name in ("path", "url", "host", "port", "dbname", "schema"))


@app.command("astronn_dist", epilog=EXAMPLES)
@takes(TrainingRequest)
def astronn_dist(request: TrainingRequest) -> None:
    """Train the network of the distances, and write its weights and a report.

    What was done survives a kill: the same command goes on from there. Exit codes: 0 done, 2 wrong usage,
    69 database not reachable, 74 the disk is full, 75 stopped before the end: run again, 78 wrong
    configuration or too few spectra, 130 stopped at once by a second Ctrl-C.
    """
    with importing("torch"):
        import torch  # noqa: F401 - all that follows needs it

    from astra.modelling.training.report.writing import report_path
    from astra.modelling.training.session import check

    check(request)
    if request.origin is Origin.SIMULATOR:
        from astra.modelling.training.from_simulator import train_from_simulator

        with stages() as update:
            train_from_simulator(request, update)
    else:
        from astra.modelling.training.from_database import train_from_database

        with database_session() as settings, stages() as update:
            place = {name: str(value) for name, value, _ in settings.flat() if name in PLACE}
            train_from_database(request, place, update)
    say(f"weights: {request.output}")
    say(f"report:  {report_path(request.output)}")
    note(f"examples are kept in {request.folder} for the next training; remove it if there is none")
