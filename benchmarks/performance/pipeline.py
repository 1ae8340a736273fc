"""The main job from end to end, in separate processes: speed against workers and size, and memory."""

import json
import os
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from clone import clone

#: Settings of the threads of this process, which the processes of a run must not inherit.
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")


@dataclass(frozen=True)
class Command:
    """What one command of astra did, and what it took."""

    wall: float
    """[s]"""

    cpu: float
    """Of all its processes [s]."""

    memory: float
    """Of its largest process [MB]."""

    descriptors: int
    """Open files of all its processes, at most."""

    threads: int
    """Of all its processes, at most."""


# Runs a command and prints its time and memory, from a separate process: the system counts the memory of the
# process that starts another to that one as well, and this one holds torch.
MEASURED = """
import glob, json, os, subprocess, sys, threading, time

def look(first):
    while True:
        pids, files, threads = [str(first)], 0, 0
        for pid in pids:
            try:
                files += len(os.listdir(f"/proc/{pid}/fd"))
                for children in glob.glob(f"/proc/{pid}/task/*/children"):
                    threads += 1
                    pids += open(children).read().split()
            except OSError:
                pass
        most[:] = map(max, most, (files, threads))
        time.sleep(0.2)

most, started = [0, 0], time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
threading.Thread(target=look, args=(process.pid,), daemon=True).start()
_, status, usage = os.wait4(process.pid, 0)
wall, cpu = time.perf_counter() - started, usage.ru_utime + usage.ru_stime
print(json.dumps([wall, cpu, usage.ru_maxrss / 1024, *most]))
sys.exit(os.waitstatus_to_exitcode(status))
"""


def astra(*arguments: str) -> Command:
    """Run a command of astra."""
    environment = {name: value for name, value in os.environ.items() if name not in THREADS}
    command = [sys.executable, "-c", MEASURED, sys.executable, "-m", "astra", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, text=True)
    if done.returncode:
        raise SystemExit(f"astra {' '.join(arguments)} failed")
    return Command(*json.loads(done.stdout))


class Survey:
    """A database of spectra: the first ``files`` have one file each, the others share these files.

    Args:
        folder: Where it is kept.
        originals: Real apStar files.
        files: How many files to write.
    """

    def __init__(self, folder: Path, originals: list[Path], files: int) -> None:
        self.path = folder / "bench.db"
        os.environ["ASTRA_DATABASE_PATH"] = str(self.path)
        (folder / "files").mkdir()
        clone(originals, folder / "files", files)
        astra("init")
        self.ingested = astra("ingest", "apstar", str(folder / "files"))
        self.files = self.size = files

    def grow(self, size: int) -> None:
        """Add spectra until there are so many; those that share a file have other names and stars."""
        with sqlite3.connect(self.path) as connection:
            columns = {}
            for table in ("source", "spectrum", "apogee_coadded_spectrum_in_apstar"):
                columns[table] = [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
            while self.size < size:
                for table, names in columns.items():
                    values = ", ".join(self._shifted(name) for name in names)
                    key = "pk" if "pk" in names else "spectrum_pk"
                    connection.execute(
                        f'INSERT INTO "{table}" ({", ".join(names)}) SELECT {values} FROM "{table}" '
                        f"WHERE {key} <= {min(self.files, size - self.size)}"
                    )
                self.size += min(self.files, size - self.size)
        connection.close()

    def _shifted(self, name: str) -> str:
        if name in ("pk", "spectrum_pk", "source_pk"):
            return f"{name} + {self.size}"
        if name in ("sdss4_apogee_id", "product_id", "obj"):
            return f"{name} || '+{self.size}'"
        return f"{name} + {self.size}" if name in ("sdss_id", "gaia_dr3_source_id") else name

    def run(self, *arguments: str) -> Command:
        """Run the task on all spectra, without earlier results."""
        with sqlite3.connect(self.path) as connection:
            connection.execute("DELETE FROM astro_nn_dist")
        connection.close()
        return astra("run", "astronn_dist", *arguments)
