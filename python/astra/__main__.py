"""The process of the ``astra`` command, which ``python -m astra`` is as well: its streams and its end.

Whatever ends it, and whenever, its exit code says what was done.
"""

import signal
import sys
from typing import NoReturn

from astra.errors import Interrupted
from astra.system.signals import ENDING, KEYBOARD_INTERRUPT, Terminated, raise_terminated
from astra.system.streams import open_streams


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run one command line in this process, its own if none is given, and exit."""
    try:
        open_streams()
        raise_terminated()
        from astra.cli import main as run

        code = run(arguments)
    except Terminated:
        code = Interrupted.exit_code
    except KeyboardInterrupt:
        code = KEYBOARD_INTERRUPT
    for number in ENDING:
        # It is over: the end of the interpreter takes a moment.
        signal.signal(number, signal.SIG_IGN)
    sys.exit(code)


if __name__ == "__main__":
    main()
