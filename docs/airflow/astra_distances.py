"""Distances for all new spectra, every night: ingest, run, check, and then the catalogue and the report.

An example for Airflow 3: copy it into the folder of DAGs, and change what stands in capitals. Airflow needs
neither the package astra nor its database: each step is a command, and its exit code says what is to be done.

    0        done
    69, 75   the database was away, or the work was stopped before its end: try again
    killed   by a signal: try again, which also finds a spectrum that kills its worker
    others   somebody has to act: fail at once
"""

import datetime
import os
import signal
import subprocess

from airflow.sdk import DAG, BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException

ASTRA = os.environ.get("ASTRA_COMMAND", "astra")
SPECTRA = os.environ.get("ASTRA_SPECTRA", "/data/sas/dr17/apogee/spectro/redux/dr17/stars")
CATALOG = os.environ.get("ASTRA_CATALOG", "/data/catalogs/targets.ecsv")
PRODUCTS = os.environ.get("ASTRA_PRODUCTS", "/data/products")
CATALOGUE, REPORT = f"{PRODUCTS}/distances.fits", f"{PRODUCTS}/distances.html"

TRY_AGAIN = {69: "the database cannot be reached", 75: "stopped before the end"}

# A shell adds the number of the signal to this.
KILLED = 128


class AstraOperator(BaseOperator):
    """Runs one command of astra, whose exit code decides whether it is tried again.

    Args:
        arguments: What comes after ``astra``.
    """

    template_fields = ("arguments",)

    def __init__(self, *, arguments: list[str], **rest) -> None:
        super().__init__(**rest)
        self.arguments = arguments
        self._process: subprocess.Popen | None = None

    def execute(self, context) -> str:
        """Run it, with what it says in the log; gives what it printed."""
        command = [ASTRA, *self.arguments]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        self._process = subprocess.Popen(command, text=True, errors="backslashreplace", **streams)
        last = ""
        for line in self._process.stdout:
            last = line.rstrip()
            self.log.info("%s", last)
        code = self._process.wait()
        if code == 0:
            return last
        if code in TRY_AGAIN:
            raise AirflowException(f"exit code {code}: {TRY_AGAIN[code]}; the next try goes on: {last}")
        if code < 0 or code > KILLED:
            raise AirflowException(f"killed (exit code {code}); the next try goes on: {last}")
        raise AirflowFailException(f"exit code {code}, which another try would not change: {last}")

    def on_kill(self) -> None:
        """Let it finish what it has in hand."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait()


with DAG(
    dag_id="astra_distances",
    schedule="@daily",
    start_date=datetime.datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 5, "retry_delay": datetime.timedelta(minutes=10)},
) as dag:
    steps = {
        "ingest": ["ingest", "apstar", SPECTRA, "--catalog", CATALOG],
        # On a cluster: ["srun", "astronn_dist", "--nodes", "4", "--time", "12:00:00"]
        "run": ["run", "astronn_dist", "--workers", "4"],
        # Where a limit is broken, the catalogue and the report of the night before stay.
        "check": ["status", "astronn_dist", "--check", "--max-no-result", "2%"],
        "create": ["create", "astraAllStarAstroNNdist", "--output", CATALOGUE, "--overwrite"],
        "report": ["report", "astronn_dist", "--output", REPORT, "--overwrite"],
    }
    tasks = [AstraOperator(task_id=name, arguments=arguments) for name, arguments in steps.items()]
    for before, after in zip(tasks, tasks[1:], strict=False):
        before >> after
