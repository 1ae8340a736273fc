"""What a terminal shows of a run at a constant pace, and what Ctrl-C does to it."""

import re
import signal
import sys
import time

import pytest
from builders import a_source, a_spectrum, on_sqlite, write_apstar
from fake_runs import SCRIPT
from terminal import CTRL_C, Terminal

from astra.database.connection import database

#: Each spectrum takes so long [s].
EACH_S = 0.02
STEADY = f"""
import time
draw = Noting.draw
Noting.draw = lambda self, *rest: time.sleep({EACH_S} * len(rest[1])) or draw(self, *rest)
"""
UNITS = {"d": 86_400, "h": 3600, "min": 60, "s": 1}
PROGRESS = re.compile(r"astronn_dist\W+(\d+) of (\d+) +(\S+/s) +(.*) left")


@pytest.fixture
def steady(db, tmp_path):
    """Begins a run of 800 spectra in a terminal."""
    path, script = write_apstar(tmp_path / "apStar-dr17-x.fits"), tmp_path / "run.py"
    script.write_text(SCRIPT.replace("EXTRA", STEADY))
    with database.atomic():
        for _ in range(800):
            a_spectrum(a_source(), path)
    return lambda *options, width=80: Terminal(
        sys.executable, script, tmp_path / "log", *options, width=width
    )


def _seconds(text):
    return sum(int(number) * UNITS[unit] for number, unit in re.findall(r"(\d+) (d|h|min|s)\b", text))


@pytest.mark.slow
@on_sqlite
@pytest.mark.parametrize(("workers", "width"), [(1, 80), (2, 80), (1, 200), (2, 200)])
def test_the_time_left_is_true_to_a_quarter_from_a_fifth_of_a_run_on(steady, workers, width):
    with steady("--workers", workers, width=width) as terminal:
        assert terminal.wait(300) == 0
        frames = [(moment, "\n".join(lines)) for moment, lines in terminal.frames()]
    end = next(moment for moment, shown in frames if "800 of 800" in shown)
    seen = [(moment, found) for moment, shown in frames if (found := PROGRESS.search(shown))]

    late = [(moment, found) for moment, found in seen if int(found[1]) >= 160]
    assert len(late) > 20
    for moment, found in late:
        # Shown in whole seconds; the last chunk is written when it is measured.
        assert abs(_seconds(found[4]) - (end - moment)) <= 0.25 * (end - moment) + 1.5, found[0]
    # Known before the first hundred are written.
    assert int(seen[0][1][1]) < 100


@pytest.mark.slow
@on_sqlite
@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_is_answered_at_once_with_what_the_run_waits_for(steady, workers):
    which = "the chunk of 100" if workers == 1 else "the 2 chunks of 200"
    with steady("--workers", workers) as terminal:
        terminal.wait_for(r"\d\d of 800")
        pressed = time.monotonic()
        terminal.press(CTRL_C)
        answer = terminal.wait_for(
            rf"stopping: finishes {which} spectra in hand(, about \d+ s)?; Ctrl-C again\sgives them back"
        )
        seconds = time.monotonic() - pressed
        assert terminal.wait() == 75
        assert "processed (bad" in "\n".join(terminal.lines())

    assert answer
    assert seconds < 0.3


@pytest.mark.slow
@on_sqlite
def test_a_second_ctrl_c_gives_back_what_is_in_hand(steady):
    with steady() as terminal:
        terminal.wait_for(r"\d\d of 800")
        terminal.press(CTRL_C)
        terminal.wait_for("stopping: ")
        terminal.press(CTRL_C)
        assert terminal.wait() == 130
        assert terminal.lines()[-1] == "astra: error: stopped at once; the chunk in hand was not written"


@pytest.mark.slow
@on_sqlite
def test_sigterm_is_answered_as_well(steady):
    with steady() as terminal:
        terminal.wait_for(r"\d\d of 800")
        terminal.send(signal.SIGTERM)
        terminal.wait_for(r"stopping: finishes the chunk of 100 spectra in hand, about \d+ s\n")
        assert terminal.wait() == 75
