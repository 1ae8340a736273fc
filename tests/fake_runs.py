"""`astra run` in processes of its own, with a network that needs no weights and notes what it was given."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from astra.models import AstroNNdist

# What a test adds stands in the place of EXTRA; it holds for the processes that this one starts, too.
SCRIPT = """
import os, sys
from importlib import metadata
installed = metadata.version
metadata.version = lambda name: VERSION if VERSION and name == "astra-distances" else installed(name)
import numpy as np
from astra.pipelines.astronn_dist import task
from astra.pipelines.astronn_dist.estimating import Model

class Noting:
    labels_std = 100.0
    log = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    def draw(self, flux, identities, n_draws, seed):
        os.write(self.log, "".join(f"{name}\\n" for name in identities).encode())
        ramp = np.linspace(0.1, 0.2, n_draws)
        return np.stack([np.stack([ramp, np.full(n_draws, -5.0)])] * len(identities))

task.load_model = lambda weights, device: Model(Noting(), None)
EXTRA
if __name__ == "__main__":
    from astra.__main__ import main
    main(["run", "astronn_dist", *sys.argv[2:]])
"""

# Work that takes long enough to be hit.
SLOW = """
import time
draw = Noting.draw
Noting.draw = lambda self, *rest: time.sleep(0.02 * len(rest[1])) or draw(self, *rest)
"""


def wait_for_rows(count: int = 1, seconds: float = 60) -> None:
    """Wait until runs have written so many results."""
    deadline = time.monotonic() + seconds
    while AstroNNdist.select().count() < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)


class FakeRuns:
    """Starts such runs.

    Args:
        folder: For what they leave behind.
        extra: Code of the test.
        keywords: For :mod:`subprocess`.
        version: Of the package; ``None`` for that which is installed.
    """

    def __init__(
        self,
        folder: Path,
        extra: str = "",
        keywords: Mapping[str, Any] | None = None,
        version: str | None = None,
    ) -> None:
        self._keywords = keywords or {}
        self._script, self._log, self._errors = (folder / name for name in ("run.py", "drawn", "errors"))
        self._script.write_text(SCRIPT.replace("EXTRA", extra).replace("VERSION", repr(version)))

    def command(self, *options: str) -> list[str]:
        """The command line of such a run."""
        return [sys.executable, str(self._script), str(self._log), *options]

    def start(self, *options: str) -> subprocess.Popen:
        """A run that goes on meanwhile."""
        with self._errors.open("ab") as errors:
            return subprocess.Popen(
                self.command(*options), stdout=subprocess.DEVNULL, stderr=errors, **self._keywords
            )

    def run(self, *options: str, timeout: float = 120) -> int:
        """A run from its begin to its end; gives the exit code."""
        return self.start(*options).wait(timeout)

    @property
    def errors(self) -> str:
        """What all of them have printed to stderr."""
        return self._errors.read_text() if self._errors.exists() else ""

    def drawn(self) -> Counter:
        """How often the network was given which spectrum."""
        return Counter(self._log.read_text().split())
