"""The terminal of the tests shows what a person would see."""

import signal
import sys

import pytest
from terminal import CTRL_C, Terminal


def python(script, **size):
    return Terminal(sys.executable, "-c", script, **size)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 50)])
def test_a_command_sees_a_terminal_of_that_size_and_what_it_draws_over_is_gone(width, height):
    script = "import os, sys; print(*os.get_terminal_size(), sys.stderr.isatty()); print('gone\\rhere')"

    with python(script, width=width, height=height) as terminal:
        assert terminal.wait() == 0
        assert terminal.lines() == [f"{width} {height} True", "here"]
        assert [lines for _, lines in terminal.frames()][-1] == terminal.lines()


def test_what_has_left_the_screen_at_its_top_is_in_the_transcript():
    with python("for n in range(30): print(n)", height=10) as terminal:
        terminal.wait()

        assert terminal.lines() == [str(n) for n in range(21, 30)]
        assert terminal.transcript() == [str(n) for n in range(30)]


def test_keys_are_typed_and_ctrl_c_is_a_signal():
    script = "import time; print('name? ', end='', flush=True); print('hello', input()); time.sleep(60)"

    with python(script) as terminal:
        terminal.wait_for(r"name\?")
        terminal.press("you\n")
        terminal.wait_for("hello you")
        terminal.press(CTRL_C)
        assert terminal.wait() == -signal.SIGINT
        assert terminal.lines()[-1] == "KeyboardInterrupt"


def test_a_signal_reaches_the_command_and_a_missing_text_shows_the_screen():
    with python("import time; print('ready', flush=True); time.sleep(60)") as terminal:
        terminal.wait_for("ready")
        terminal.send(signal.SIGTERM)

        with pytest.raises(AssertionError, match="no 'steady' on the screen:\nready"):
            terminal.wait_for("steady")


def test_a_colour_is_told_by_the_text_that_has_it():
    with python("print('plain \\x1b[31mred')") as terminal:
        terminal.wait()

        assert (terminal.colour("plain"), terminal.colour("red")) == ("default", "red")
