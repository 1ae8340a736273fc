"""How far a command is, while it works: a bar on a terminal, plain lines elsewhere, an answer to Ctrl-C."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from astra.cli.console import fail, note, say
from astra.system.pace import Pace, about
from astra.system.signals import answered
from astra.system.telling import listening

#: Seconds between two lines of progress where there is no terminal.
QUIET_S = 30.0

# How often it is looked whether a line is due [s].
_LOOK_S = 1.0

# Rates are given per second, or per the next of these that makes it a number above 1.
_UNITS = {"s": 1, "min": 60, "h": 3600}

# On wider terminals the bar grows no more: it would say no more.
_WIDE = 120

# A command that has not ended so long after Ctrl-C says what it waits for [s].
_PATIENT_S = 0.15


class Shown:
    """Shows how far work is; call it with what is done, and the total where that is known.

    Args:
        what: What is counted, or whose work it is.
        parallel: How many work at the same time.
        show: Shows it, now or later.
    """

    def __init__(self, what: str, parallel: int, show: "Callable[[Shown], None]") -> None:
        self.what, self.pace, self._show = what, Pace(parallel), show
        self.has_ended = False
        self._started = time.monotonic()

    def __call__(self, done: int, total: int | None = None) -> None:
        """So much is done."""
        self.pace.update(time.monotonic(), done, total)
        self._show(self)

    @property
    def is_over(self) -> bool:
        """Whether all is done, or no more will be."""
        return self.has_ended or (self.pace.total is not None and self.pace.done >= self.pace.total > 0)

    def count(self) -> str:
        """What is done, of what: ``1,200 of 5,000``."""
        done, total = self.pace.done, self.pace.total
        if not self.pace.has_begun:
            return "starting"
        if not done and total is None:
            return ""
        return f"{done:,}" + ("" if total is None else f" of {max(total, done):,}")

    def speed(self) -> str:
        """How fast it goes: ``45.2/s``, or ``3.1/min`` where that is slow; nothing at the end."""
        return "" if self.pace.rate is None or self.is_over else rate_in_words(self.pace.rate)

    def left(self) -> str:
        """How long it will still take, ``3 min 20 s left``; without a total, how long it took so far."""
        took = about(time.monotonic() - self._started)
        if self.is_over:
            return f"in {took}"
        if self.pace.total is None:
            return took
        seconds = self.pace.seconds_left(time.monotonic())
        return "" if seconds is None else f"{about(max(1.0, seconds))} left"


def rate_in_words(rate: float) -> str:
    """A rate per second, minute or hour: ``45.2/s``, ``3.1/min``."""
    known = ((rate * seconds, unit) for unit, seconds in _UNITS.items() if rate * seconds >= 1)
    value, unit = next(known, (rate * 3600, "h"))
    return f"{value:,.0f}/{unit}" if value >= 100 else f"{value:.3g}/{unit}"


@contextmanager
def progress(what: str, parallel: int = 1) -> Iterator[Shown]:
    """Show how far the work is: a bar on a terminal, a plain line now and then elsewhere.

    Both say what is done, of what, how fast, and how long it will still take. Where nothing else answers
    Ctrl-C, this says what the command waits for if it cannot end at once.

    Args:
        what: What is counted, e.g. ``files``.
        parallel: How many work at the same time.

    Yields:
        A function that takes what is done, and the total where it is known.
    """
    with _ctrl_c_answered(), _bar(what, parallel) if sys.stderr.isatty() else _lines(what, parallel) as shown:
        yield shown


@contextmanager
def stages() -> Iterator[Callable[[str, int, int | None], None]]:
    """Show how far each stage of a command is, one after the other.

    Yields:
        A function that takes the name of a stage, what is done of it, and the total where it is known. Work
        that tells whoever listens (``astra.system.telling``) need not be given it.
    """
    with ExitStack() as stack:
        current, show = None, None

        def update(what: str, done: int, total: int | None = None) -> None:
            nonlocal current, show
            if what != current:
                stack.close()
                current, show = what, stack.enter_context(progress(what))
            show(done, total)

        with listening(update):
            yield update


@contextmanager
def _lines(what: str, parallel: int) -> Iterator[Shown]:
    last, over, one_at_a_time = time.monotonic(), threading.Event(), threading.Lock()

    def show(shown: Shown) -> None:
        nonlocal last
        with one_at_a_time:
            if time.monotonic() - last >= QUIET_S:
                last = time.monotonic()
                note(f"{what}: " + ", ".join(filter(None, (shown.count(), shown.speed(), shown.left()))))

    def remind() -> None:
        # A step may take longer than the pause between two lines.
        while not over.wait(_LOOK_S):
            show(shown)

    shown = Shown(what, parallel, show)
    reminder = threading.Thread(target=remind, name="astra-progress", daemon=True)
    reminder.start()
    try:
        yield shown
    finally:
        over.set()
        reminder.join()


@contextmanager
def _bar(what: str, parallel: int) -> Iterator[Shown]:
    from rich import progress as rich
    from rich.console import Console
    from rich.constrain import Constrain
    from rich.table import Column

    class Words(rich.ProgressColumn):
        """What a function says; rich's own columns forget what is older than half a minute."""

        def __init__(self, words: Callable[[], str]) -> None:
            super().__init__(Column(no_wrap=True))
            self._words = words

        def render(self, task: rich.Task) -> str:
            return self._words()

    class Bar(rich.BarColumn):
        """A bar; where there is no total, none, for rich's moving one looks full without colours."""

        def render(self, task: rich.Task) -> Any:
            return super().render(task) if task.total else ""

    class Narrow(rich.Progress):
        """A line that leaves room for ``^C``, which the terminal writes behind it: else it would wrap."""

        def get_renderable(self) -> Constrain:
            return Constrain(super().get_renderable(), console.width - len("^C") - 1)

    def show(shown: Shown) -> None:
        bar.expand = not is_wide and shown.pace.total is not None
        bar.update(job, completed=shown.pace.done, total=shown.pace.total)

    shown, console = Shown(what, parallel, show), Console(stderr=True)
    is_wide = console.width > _WIDE
    with Narrow(
        rich.SpinnerColumn(),
        rich.TextColumn("{task.description}"),
        Bar(bar_width=_WIDE // 2 if is_wide else None),
        *map(Words, (shown.count, shown.speed, shown.left)),
        console=console,
        # What a program reads from a pipe must not go to the terminal.
        redirect_stdout=sys.stdout.isatty(),
    ) as bar:
        job = bar.add_task(what, total=None)
        try:
            yield shown
        finally:
            shown.has_ended = True
            # Where nothing was done, there is nothing to leave on the screen.
            bar.update(job, visible=shown.pace.done > 0)


@contextmanager
def redrawing() -> Iterator[Callable[[list[str], list[str]], None]]:
    """Show something repeatedly: on a terminal in the same place, elsewhere line below line.

    Yields:
        A function that takes the lines of a page for a terminal, and the lines for elsewhere. What does not
        fit on the screen is shown at the end.
    """
    if not sys.stdout.isatty():
        yield lambda page, lines: say("\n".join(lines))
        return
    from rich.live import Live
    from rich.text import Text

    with Live(auto_refresh=False, vertical_overflow="ellipsis") as live:
        yield lambda page, lines: live.update(Text("\n".join(page)), refresh=True)


@contextmanager
def _ctrl_c_answered() -> Iterator[None]:
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    from astra.database.connection import database, interrupt
    from astra.running.ending import KEYBOARD_INTERRUPT

    over = threading.Event()
    # The one of this thread, which hears nothing while it waits for an answer.
    connection = None if database.obj is None or database.is_closed() else database.connection()

    def answer(number: int) -> None:
        if number == signal.SIGINT and not over.wait(_PATIENT_S):
            note("stopping: waits for the end of the step in hand")
            interrupt(connection)

    with answered(answer):
        try:
            yield
        except KeyboardInterrupt:
            fail("interrupted", KEYBOARD_INTERRUPT)
            raise
        finally:
            over.set()
