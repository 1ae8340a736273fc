"""How fast `astra run --fill coverage` is beside `astra run`, and whether it reads each file once.

    python benchmarks/bench_fill.py [--rows 20000] [--run-rows 2000] [--workers 1] [--postgresql]

The files of a simulated survey have so many names (hard links) that each row has a file of its own. The run
measures some of the spectra; the rows of the others are copies of these, without coverage. The fill is then
timed, repeated, killed in the middle and repeated once more. Every opening of a file is counted, and no other
column than those of the fill, and `modified`, may change.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from astra.config import load_settings
from astra.database.connection import bound_to, database, open_database
from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist, Source, Spectrum
from astra.spectra.coverage import Coverage

from postgres_server import find_binaries, temporary_server

FILES = 200
FILL = ("run", "astronn_dist", "--fill", "coverage")

# For each process of a command, as its `sitecustomize`: notes each file of a spectrum that is opened.
COUNTING = """
import os, sys
_seen = os.open(os.environ["BENCH_OPENED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def _note(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".fits"):
        os.write(_seen, f"{arguments[0]}\\n".encode())
sys.addaudithook(_note)
"""


def main() -> None:
    """Read the arguments, and print what was measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--run-rows", type=int, default=2_000, help="how many of them the run measures")
    parser.add_argument("--workers", default="1")
    parser.add_argument("--postgresql", action="store_true", help="on PostgreSQL instead of SQLite")
    asked = parser.parse_args()
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="astra-bench-") as name:
        folder = Path(name)
        _prepare(stack, folder, postgresql=asked.postgresql)
        _register(folder, asked.rows)
        run = astra("run", "astronn_dist", "--limit", str(asked.run_rows), "--workers", asked.workers)
        _say("run", run, run["processed"])
        _give_all_a_row()
        before = _untouched()
        opened = folder / "opened"
        fill = astra(*FILL, "--workers", asked.workers, opened=opened)
        _say("fill", fill, fill["filled"])
        times = Counter(opened.read_text().split())
        print(f"{'':<10}{len(times):,} files opened, at most {max(times.values())} times each")
        print(f"{'':<10}{fill['spectra_per_s'] / run['spectra_per_s']:.1f} times as fast as the run")
        _expect(fill["filled"] == len(times) == asked.rows and max(times.values()) == 1, "each file once")
        _expect(before == _untouched(), "no other column changed")
        _say("again", again := astra(*FILL), again["filled"])
        _expect(again["outcome"] == "nothing_pending", "nothing is left to fill")
        _killed_and_repeated(asked.rows, asked.workers, opened)
        _expect(before == _untouched(), "no other column changed")


def astra(*arguments: str, opened: Path | None = None) -> dict:
    """Run a command of astra; gives what `--json` prints."""
    done = subprocess.run(_command(*arguments), stdout=subprocess.PIPE, env=_environment(opened))
    if done.returncode:
        raise SystemExit(f"astra {' '.join(arguments)} failed")
    return json.loads(done.stdout) if arguments[0] == "run" else {}


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "astra", *arguments, *(["--json"] if arguments[0] == "run" else [])]


def _environment(opened: Path | None) -> dict[str, str]:
    if opened is None:
        return dict(os.environ)
    opened.unlink(missing_ok=True)
    hook = opened.parent / "hook" / "sitecustomize.py"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(COUNTING)
    return os.environ | {"BENCH_OPENED": str(opened), "PYTHONPATH": str(hook.parent)}


def _prepare(stack: ExitStack, folder: Path, *, postgresql: bool) -> None:
    """Make a database with the spectra of some files, and bind the models to it."""
    for name in ("ASTRA_DATABASE_PATH", "ASTRA_DATABASE_URL"):
        os.environ.pop(name, None)
    if postgresql:
        server = stack.enter_context(temporary_server(find_binaries()))
        os.environ["ASTRA_DATABASE_URL"] = server.url(stack.enter_context(server.database()))
    else:
        os.environ["ASTRA_DATABASE_PATH"] = str(folder / "astra.db")
    survey = folder / "survey"
    for command in (
        ("init",),
        ("simulate", str(survey), "--n", str(FILES)),
        ("ingest", "apstar", str(survey), "--catalog", str(survey / "targets.csv")),
    ):
        astra(*command)
    stack.enter_context(bound_to(open_database(load_settings())))


def _register(folder: Path, rows: int) -> None:
    """Register further spectra, until there are so many, each with a file of its own."""
    (folder / "links").mkdir()
    originals = sorted((folder / "survey").glob("*.fits"))
    for number in range(1, rows + 1):
        (folder / "links" / f"{number}.fits").hardlink_to(originals[number % FILES])
    for shift in range(FILES, rows, FILES):
        for model in (Source, Spectrum, ApogeeCoaddedSpectrumInApStar):
            names = [field.column_name for field in model._meta.sorted_fields]
            values = ", ".join(_shifted(name, shift) for name in names)
            database.execute_sql(
                f'INSERT INTO "{model._meta.table_name}" ({", ".join(names)}) SELECT {values} '
                f'FROM "{model._meta.table_name}" WHERE pk <= {min(FILES, rows - shift)}'
            )
    table = ApogeeCoaddedSpectrumInApStar._meta.table_name
    database.execute_sql(f"UPDATE {table} SET path = '{folder}/links/' || spectrum_pk || '.fits'")


def _shifted(name: str, shift: int) -> str:
    if name in ("pk", "spectrum_pk", "source_pk", "sdss_id", "gaia_dr3_source_id"):
        return f"{name} + {shift}"
    return f"{name} || '+{shift}'" if name in ("sdss4_apogee_id", "product_id", "obj") else name


def _give_all_a_row() -> None:
    """Copy the rows of the run, and take the coverage of all away."""
    names = [field.column_name for field in AstroNNdist.written_fields() if field.name != "task_pk"]
    values = ", ".join(
        {"spectrum_pk": "s.spectrum_pk", "source_pk": "s.source_pk"}.get(name, f"r.{name}") for name in names
    )
    spectra = ApogeeCoaddedSpectrumInApStar._meta.table_name
    database.execute_sql(
        f"INSERT INTO astro_nn_dist ({', '.join(names)}) SELECT {values} FROM {spectra} AS s "
        f"JOIN astro_nn_dist AS r ON r.spectrum_pk = 1 + s.spectrum_pk - s.spectrum_pk / {FILES} * {FILES} "
        "WHERE NOT EXISTS (SELECT 1 FROM astro_nn_dist AS o WHERE o.spectrum_pk = s.spectrum_pk)"
    )
    database.execute_sql(
        f"UPDATE astro_nn_dist SET spectrum_modified = (SELECT s.modified FROM {spectra} AS s "
        "WHERE s.spectrum_pk = astro_nn_dist.spectrum_pk)"
    )
    _empty()


def _empty() -> None:
    database.execute_sql(
        f"UPDATE astro_nn_dist SET {', '.join(f'{name} = NULL' for name in Coverage._fields)}"
    )


def _untouched() -> list[tuple]:
    """The columns that a fill leaves alone."""
    left_alone = {*Coverage._fields, "modified"}
    names = [each.column_name for each in AstroNNdist._meta.sorted_fields if each.name not in left_alone]
    return database.execute_sql(f"SELECT {', '.join(names)} FROM astro_nn_dist ORDER BY task_pk").fetchall()


def _killed_and_repeated(rows: int, workers: str, opened: Path) -> None:
    """Kill a fill when it has filled a part, and repeat it."""
    _empty()
    command, environment = _command(*FILL, "--workers", workers), _environment(opened)
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    while (done := AstroNNdist.select().where(AstroNNdist.coverage.is_null(False)).count()) < rows // 3:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = AstroNNdist.select().where(AstroNNdist.coverage.is_null(False)).count()
    rest = astra(*FILL, "--workers", workers, opened=opened)
    times = Counter(opened.read_text().split())
    print(
        f"{'killed':<10}with {done:,} rows filled; then {rest['filled']:,} more, {len(times):,} files opened"
    )
    _expect(done + rest["filled"] == rows, "all rows filled")
    _expect(len(times) == sum(times.values()) == rows - done, "only what was left is read")


def _say(what: str, report: dict, rows: int) -> None:
    print(f"{what:<10}{rows:,} in {report['elapsed_s']:.1f} s, {report['spectra_per_s']:.0f}/s", flush=True)


def _expect(condition: bool, what: str) -> None:
    if not condition:
        raise SystemExit(f"not so: {what}")
    print(f"{'':<10}{what}: yes", flush=True)


if __name__ == "__main__":
    main()
