"""Messages of the package: on stderr, one line each, from every process of a run alike."""

import logging
import sys
from typing import Any


class _ThisStderr(logging.StreamHandler):
    """Writes to what stderr is now; a progress bar stands in for it while it runs."""

    @property
    def stream(self) -> Any:
        return sys.stderr

    @stream.setter
    def stream(self, value: Any) -> None:
        pass


def set_up_logging(level: int) -> None:
    """Send the package's messages to stderr, one line each."""
    handler = _ThisStderr()
    handler.setFormatter(logging.Formatter("astra: %(levelname)s: %(message)s"))
    logger = logging.getLogger("astra")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False
