"""A spectrum that kills its worker gets a row without a result; all others get theirs."""

import importlib

import guests
import pytest
from builders import a_spectrum, slow_on_sqlite, write_apstar
from fake_runs import FakeRuns

from astra import register_spectra
from astra.models import AstroNNdist, TaskClaim, TaskRun
from astra.running.claims import Claims
from astra.tasks.installed import find_task
from astra.tasks.pending import Selection

# As a fault in a library of compiled code, or the end of memory.
DEADLY = """
from astra.models import ApogeeCoaddedSpectrumInApStar
read = ApogeeCoaddedSpectrumInApStar.read
def deadly(self):
    if "poison" in self.path:
        with open(sys.argv[1] + ".deaths", "a") as file:
            file.write("x")
        os.abort()
    return read(self)
ApogeeCoaddedSpectrumInApStar.read = deadly
"""


@pytest.fixture
def poisoned(db, tmp_path):
    """The key of the one deadly spectrum among forty."""
    good, deadly = (
        write_apstar(tmp_path / "apStar-dr17-x.fits"),
        write_apstar(tmp_path / "apStar-dr17-poison.fits"),
    )
    return [a_spectrum(None, deadly if number == 13 else good).spectrum_pk for number in range(40)][13]


def _check(poisoned, tmp_path):
    rows = {row.spectrum_pk: row for row in AstroNNdist.select()}
    assert len(rows) == AstroNNdist.select().count() == 40
    assert [pk for pk, row in rows.items() if row.flag_no_result] == [poisoned]
    reason = f"its worker died 3 times over this spectrum alone: {tmp_path}/apStar-dr17-poison.fits"
    assert rows[poisoned].no_result_reason == reason
    assert (tmp_path / "drawn.deaths").stat().st_size <= 4
    assert TaskClaim.select().count() == 0


@slow_on_sqlite
def test_a_run_of_several_workers_gets_over_it(poisoned, tmp_path):
    runs = FakeRuns(tmp_path, DEADLY)

    assert runs.run("--workers", "2", "--batch-size", "10") == 0, runs.errors

    _check(poisoned, tmp_path)
    assert "died (SIGABRT)" in runs.errors
    run = TaskRun.get()
    assert (run.outcome, run.processed, run.no_result) == ("done", 40, 1)


@pytest.mark.slow
def test_a_run_of_one_process_dies_and_those_after_it_get_over_it(poisoned, tmp_path):
    runs = FakeRuns(tmp_path, DEADLY)

    codes = [runs.run("--batch-size", "10") for _ in range(5)]

    assert (codes[-1], min(codes) < 0) == (0, True), runs.errors
    _check(poisoned, tmp_path)


def test_a_spectrum_without_a_path_is_named_by_its_key(db, tmp_path, monkeypatch, astra):
    more = "    product_id = fields.TextField(unique=True)\n    created = fields.StampField()\n    modified ="
    code = guests.LINES.replace("    modified =", more, 1)
    guests.install(tmp_path / "guest", monkeypatch, code, "line_width")
    assert astra("init")[0] == 0
    lines = importlib.import_module("guest_package")
    register_spectra(lines.LineSpectrum, [{"product_id": name, "source": {"sdss_id": 7}} for name in "ab"])
    first, second = lines.LineSpectrum.select().order_by(lines.LineSpectrum.spectrum_pk)

    with Claims(Selection(find_task("line_width")), None) as worker:
        for _ in range(3):
            chunk = worker.take(1)
            TaskClaim.update(suspect=True).execute()
            worker.orphan([chunk])
    assert astra("run", "line_width")[0] == 0

    lost, measured = lines.LineWidth.select().order_by(lines.LineWidth.spectrum_pk)
    reason = f"its worker died 3 times over this spectrum alone: spectrum {first.spectrum_pk}"
    assert (lost.spectrum_pk, lost.no_result_reason) == (first.spectrum_pk, reason)
    assert (measured.spectrum_pk, measured.width) == (second.spectrum_pk, 0.5)
    assert lost.source_pk == measured.source_pk == first.source
