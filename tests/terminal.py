"""A terminal that is not there: what stands on its screen while a command runs in it.

    with Terminal("astra", "run", "steady", width=80) as terminal:
        terminal.wait_for("20%")
        terminal.press(CTRL_C)
        assert "stopping" in terminal.lines()[-1]
        assert terminal.wait() == 75

The command has it as its controlling terminal, so that keys are signals, as at a desk.
"""

import fcntl
import os
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Self

import pyte

CTRL_C = "\x03"

# The leader of a session without a terminal gets the first one that it opens.
_IN_TERMINAL = ("sh", "-c", 'exec "$@" <>"$0" >&0 2>&0')


class Terminal:
    """A terminal of one size with a command in it; a context that ends with the command.

    Args:
        command: Its words; ``astra`` is this package.
        width: Columns of the screen.
        height: Lines of the screen.
        environment: Variables in addition to those of this process.
        folder: Where the command runs.
    """

    def __init__(
        self,
        *command: object,
        width: int = 80,
        height: int = 24,
        environment: dict[str, str] | None = None,
        folder: object = None,
    ) -> None:
        self._size = width, height
        self._chunks: list[tuple[float, bytes]] = []
        self._screen, self._fed = _Screen(*self._size), 0
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        # Whoever runs the tests has a terminal, and wishes, of their own.
        hidden = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TERM", "CI")
        kept = {name: value for name, value in os.environ.items() if name not in hidden}
        self.started = time.monotonic()
        words = [str(word) for word in command]
        if words[0] == "astra":
            words[:1] = [sys.executable, "-m", "astra"]
        self.process = subprocess.Popen(
            [*_IN_TERMINAL, os.ttyname(slave), *words],
            env=kept | {"TERM": "xterm-256color"} | (environment or {}),
            cwd=folder,
            start_new_session=True,
            # What runs in the background, such as these tests, has it ignored for all below.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self._reader = threading.Thread(target=self._read, args=(slave,), daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join()
        os.close(self._master)

    def _read(self, slave: int) -> None:
        # Until then it stays open here too: what the last to close it wrote would be lost with it.
        threading.Thread(target=lambda: (self.process.wait(), os.close(slave)), daemon=True).start()
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # nobody has it open any more
                return
            self._chunks.append((time.monotonic() - self.started, data))

    def press(self, keys: str) -> None:
        """Type keys: text, or ``CTRL_C``."""
        os.write(self._master, keys.encode())

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the command alone."""
        self.process.send_signal(number)

    def wait(self, seconds: float = 60) -> int:
        """Wait for the end of the command; gives its exit code, and all that it wrote is on the screen."""
        code = self.process.wait(seconds)
        self._reader.join(seconds)
        return code

    def lines(self) -> list[str]:
        """What stands on the screen now, without the blank ends of lines and of the screen."""
        return self._now().lines()

    def transcript(self) -> list[str]:
        """The lines that have left the screen at its top, and those on it."""
        return self._now().transcript()

    def colour(self, text: str) -> str:
        """The colour in which the first occurrence of a text on the screen is written, e.g. ``default``."""
        return self._now().colour(text)

    def frames(self) -> Iterator[tuple[float, list[str]]]:
        """What stood on the screen after each piece that was written, and when [s since the start]."""
        screen = _Screen(*self._size)
        for moment, data in tuple(self._chunks):
            screen.feed(data)
            yield moment, screen.lines()

    def wait_for(self, pattern: str, seconds: float = 30) -> re.Match:
        """Wait until a pattern, which may span lines, is on the screen; gives its match."""
        until = time.monotonic() + seconds
        while True:
            ended = not self._reader.is_alive()
            shown = "\n".join(self.lines())
            if found := re.search(pattern, shown):
                return found
            if ended or time.monotonic() > until:
                raise AssertionError(f"no {pattern!r} on the screen:\n{shown}")
            time.sleep(0.01)

    def _now(self) -> "_Screen":
        chunks = self._chunks[self._fed :]
        self._fed += len(chunks)
        for _, data in chunks:
            self._screen.feed(data)
        return self._screen


class _Screen:
    """What a terminal would show of the bytes that it was fed."""

    def __init__(self, width: int, height: int) -> None:
        self._screen = pyte.HistoryScreen(width, height, history=10_000)
        self._stream = pyte.ByteStream(self._screen)

    def feed(self, data: bytes) -> None:
        self._stream.feed(data)

    def lines(self) -> list[str]:
        lines = [line.rstrip() for line in self._screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def transcript(self) -> list[str]:
        columns = range(self._screen.columns)
        gone = ["".join(line[x].data for x in columns).rstrip() for line in self._screen.history.top]
        return gone + self.lines()

    def colour(self, text: str) -> str:
        for y, line in enumerate(self._screen.display):
            if text in line:
                return self._screen.buffer[y][line.index(text)].fg
        raise AssertionError(f"no {text!r} on the screen:\n" + "\n".join(self.lines()))
