"""The first ten minutes of an operator at a terminal."""

import re

from terminal import CTRL_C, Terminal


def test_the_set_up_is_checked_and_what_happened_is_said(type_in, measured):
    assert any(line.startswith("ok") for line in type_in("doctor"))
    shown = "\n".join(type_in("status"))
    assert re.search(r"spectra +22\n +done +22\n +pending +0", shown)


def test_help_can_be_asked_for_in_every_way_and_is_not_cut(type_in):
    by_option, by_command = type_in("run", "-h"), type_in("help", "run")

    assert by_option == by_command
    assert by_option[0].startswith("Usage: astra run")
    assert not [line for line in by_option[1:] if line.endswith(("...", "…"))]


def test_a_run_shows_how_far_it_is_and_what_ctrl_c_does(measured):
    environment = {"ASTRA_DATABASE_PATH": str(measured / "my.db"), "ASTRA_CONFIG": "/dev/null"}
    for width in (80, 200):
        words = ("run", "astronn_dist", "--overwrite", "--n-draws", "100000")
        with Terminal("astra", *words, folder=measured, environment=environment, width=width) as terminal:
            terminal.wait_for("0 of 22")
            terminal.press(CTRL_C)
            terminal.wait_for("stopping: ", seconds=2)
            terminal.press(CTRL_C)
            assert terminal.wait() in (75, 130)


def test_a_watch_ends_when_it_is_told(measured):
    environment = {"ASTRA_DATABASE_PATH": str(measured / "my.db"), "ASTRA_CONFIG": "/dev/null"}
    with Terminal("astra", "status", "--watch", folder=measured, environment=environment) as terminal:
        terminal.wait_for("pending")
        terminal.press(CTRL_C)
        assert terminal.wait(5) == 0
