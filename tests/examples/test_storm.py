"""Workers of two tasks are killed side by side: at the end each spectrum has one row of each task."""

import random
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest
from builders import a_spectrum, on_postgresql, write_apstar
from fake_runs import FakeRuns

from astra.cli import main
from astra.models import AstroNNdist, TaskClaim, TaskWorker
from astra.tasks.installed import find_task

COUNT, KILLS, WORKERS, CHUNK = 400, 6, 2, "10"


@pytest.mark.slow
@on_postgresql
def test_after_a_storm_over_two_tasks_each_spectrum_has_one_row_of_each(db, examples, tmp_path):
    assert main(["init"]) == 0
    guest, ours = find_task("template_snr").output_model, FakeRuns(tmp_path)
    good, broken = (write_apstar(tmp_path / f"apStar-dr17-{name}.fits") for name in "xy")
    broken.write_bytes(good.read_bytes()[:20_000])
    spectra = [a_spectrum(None, broken if number % 100 == 50 else good) for number in range(COUNT)]
    unreadable = {spectrum.spectrum_pk for spectrum in spectra[50::100]}
    log = (tmp_path / "guest.log").open("ab")

    def start_guest():
        command = [sys.executable, "-m", "astra", "run", "template_snr", "--batch-size", CHUNK]
        return subprocess.Popen(command, stdout=log, stderr=log)

    def start_ours():
        return ours.start("--batch-size", CHUNK)

    starts, tables = (start_ours, start_guest), (AstroNNdist, guest)
    chance, running = random.Random(1), [[start() for _ in range(WORKERS)] for start in starts]
    try:
        for _ in range(KILLS):
            for which, start in enumerate(starts):
                # Something is written between two kills, unless all is done.
                before, deadline = tables[which].select().count(), time.monotonic() + 60
                while before < COUNT and tables[which].select().count() == before:
                    assert time.monotonic() < deadline, ours.errors + (tmp_path / "guest.log").read_text()
                    time.sleep(0.05)
                killed = chance.randrange(WORKERS)
                running[which][killed].send_signal(signal.SIGKILL)
                running[which][killed].wait()
                running[which][killed] = start()
        for process in (process for processes in running for process in processes):
            assert process.wait(60) == 0
        # What the last of the killed had in hand.
        assert [start().wait(60) for start in starts] == [0, 0]
    finally:
        for process in (process for processes in running for process in processes):
            process.kill()
        log.close()

    for table in tables:
        rows = Counter(row.spectrum_pk for row in table.select())
        assert (len(rows), set(rows.values())) == (COUNT, {1})
        assert {row.spectrum_pk for row in table.select().where(table.flag_no_result)} == unreadable
    assert (TaskClaim.select().count(), TaskWorker.select().count()) == (0, 0)
    for said in (ours.errors, (tmp_path / "guest.log").read_text()):
        assert " died" in said
