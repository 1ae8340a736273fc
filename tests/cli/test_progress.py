"""How far a command is: on a terminal of any width, and in a log."""

import re
import signal
import sys
import time
from itertools import takewhile

import pytest
from builders import on_sqlite
from terminal import CTRL_C, Terminal

from astra.cli import progress as module
from astra.cli.progress import Shown, progress, rate_in_words

# Steps of a hundredth of a second.
STEADY = """
import time
from astra.cli.progress import progress
with progress("files") as update:
    for done in range(1, 101):
        time.sleep(0.01)
        update(done, 100)
print("done")
"""

QUERY = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) SELECT count(*) FROM n"
# While the main thread waits for an answer, it hears nothing.
ALONE = f"""
from astra.cli.console import signals_answered
from astra.cli.progress import progress
from astra.database.connection import bound_to, database, open_database
with signals_answered(), bound_to(open_database()), progress("rows") as update:
    update(1, 10)
    database.execute_sql("{QUERY.format("1000000000")}").fetchone()
"""
DRAINING = f"""
import sqlite3
from astra.cli.console import note
from astra.cli.progress import progress
from astra.running.ending import Ending, reporting
with reporting(Ending(), note) as stop, progress("rows") as update:
    update(1, 10)
    sqlite3.connect(":memory:").execute("{QUERY.format("2000000")}").fetchone()
print("ended by", stop.reason)
"""


@pytest.mark.parametrize("width", [80, 200])
def test_a_bar_says_what_is_done_how_fast_and_how_long_it_will_take(width):
    with Terminal(sys.executable, "-c", STEADY, width=width) as terminal:
        terminal.wait_for(r"[3-8]\d of 100 +\d+\.?\d*/s +1 s left")
        assert terminal.wait() == 0
        frames = [lines for _, lines in terminal.frames() if lines]
        bar, last = terminal.lines()

    assert re.fullmatch(r"  files ━+ 100 of 100 +in [1-9] s", bar)
    assert last == "done"
    # There is room for ^C behind it, and the last is all that stays.
    assert {len(lines) for lines in takewhile(lambda lines: " in " not in lines[0], frames)} == {1}
    assert max(len(lines[0]) for lines in frames) <= min(width - 3, 120)


def test_without_a_terminal_it_is_a_line_now_and_then(capsys, monkeypatch):
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with progress("rows") as update:
        for done in range(0, 9001, 100):
            now = done / 100
            update(done, 9000 if done > 1000 else None)

    assert capsys.readouterr().err.splitlines() == [
        "rows: 3,000 of 9,000, 100/s, 1 min left",
        "rows: 6,000 of 9,000, 100/s, 30 s left",
        "rows: 9,000 of 9,000, in 1 min 30 s",
    ]


def test_what_is_more_than_the_total_moves_it():
    shown = Shown("rows", 1, lambda shown: None)
    shown(12, 10)

    assert shown.count() == "12 of 12"


@pytest.mark.parametrize(
    ("rate", "text"),
    [(1234.5, "1,234/s"), (45.23, "45.2/s"), (0.5, "30/min"), (0.01, "36/h"), (1e-5, "0.036/h")],
)
def test_a_slow_rate_is_given_per_minute_or_hour(rate, text):
    assert rate_in_words(rate) == text


@on_sqlite
@pytest.mark.parametrize(
    ("script", "answer", "end"),
    [
        (ALONE, "stopping: waits for the end of the step in hand", "KeyboardInterrupt"),
        (DRAINING, "stopping: finishes what is in hand; Ctrl-C again stops at once", "ended by SIGINT"),
    ],
)
def test_ctrl_c_is_answered_at_once_though_the_main_thread_hears_nothing(db, script, answer, end):
    # So high that the end of the script does not push the answer off it.
    with Terminal(sys.executable, "-c", script, height=60) as terminal:
        terminal.wait_for("1 of 10")
        pressed = time.monotonic()
        terminal.press(CTRL_C)
        terminal.wait_for(answer)
        seconds = time.monotonic() - pressed
        terminal.wait()

        assert terminal.lines()[-1] == end
    # 0.3 s, and what a busy machine takes.
    assert seconds < 1.0


# Python executes it as it starts: a file says that a module is being loaded.
SAYING = """
import os, sys
class Saying:
    def find_spec(name, path=None, target=None):
        if name == os.environ["LOADED"]:
            open(os.environ["SAID"], "w").close()
sys.meta_path.insert(0, Saying)
"""


@pytest.mark.parametrize("loaded", ["astra.cli", "typer", "numpy"])
def test_ctrl_c_ends_a_command_that_is_still_loading_what_it_needs_with_a_word(loaded, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(SAYING)
    said = tmp_path / "said"
    environment = {"PYTHONPATH": str(tmp_path), "LOADED": loaded, "SAID": str(said)}
    command = ("astra", "simulate", tmp_path / "stars", "--n", "1000")
    with Terminal(*command, environment=environment) as terminal:
        while not said.exists():
            assert terminal.process.poll() is None
            time.sleep(0.005)
        terminal.press(CTRL_C)
        code = terminal.wait()

        # `python -m` kills itself if Ctrl-C came amid the text that a library executes; shells call both 130.
        assert code in (130, -signal.SIGINT)
        assert terminal.lines()[-1].endswith("astra: error: interrupted")


def test_a_long_step_has_a_line_now_and_then(capsys, monkeypatch):
    monkeypatch.setattr(module, "QUIET_S", 0.0)
    monkeypatch.setattr(module, "_LOOK_S", 0.01)

    with module.progress("drawing"):
        until, printed = time.monotonic() + 30, ""
        while "drawing: starting" not in printed:
            assert time.monotonic() < until
            printed += capsys.readouterr().err


def test_a_pause_of_half_a_minute_lies_between_two_lines():
    assert module.QUIET_S == 30
