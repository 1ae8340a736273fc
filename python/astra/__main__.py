"""The process of the ``astra`` command, which ``python -m astra`` is as well: its streams and its end.

Whatever ends it, and whenever, its exit code says what was done.
"""

import signal
import sys
from typing import NoReturn

from astra.errors import OUT_OF_MEMORY, AstraError, ConfigError, Interrupted
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
        sys.stderr.write("astra: error: interrupted\n")
        code = KEYBOARD_INTERRUPT
    except MemoryError:
        code = _cannot_begin(OUT_OF_MEMORY, AstraError)
    except (ImportError, OSError, EOFError, SyntaxError, ValueError) as error:
        said = f"a part of astra cannot be loaded: {type(error).__name__}: {error}; install it again"
        code = _cannot_begin(said, ConfigError)
    for number in ENDING:
        # It is over: the end of the interpreter takes a moment.
        signal.signal(number, signal.SIG_IGN)
    sys.exit(code)


def _cannot_begin(why: str, kind: type[AstraError]) -> int:
    sys.stderr.write(f"astra: error: {' '.join(why.split())}\n")
    return kind.exit_code


if __name__ == "__main__":
    main()
