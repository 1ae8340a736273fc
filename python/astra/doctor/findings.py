"""What the checks find: for the operator, and for the checks after them."""

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

import peewee

from astra.config import Settings
from astra.tasks.contract import Provenance, Task

OK, WARN, FAIL = "ok", "warn", "fail"


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        check: The name of the check.
        level: ``ok``; ``warn``: a run works, but perhaps not as expected; ``fail``: a run fails.
        said: What was found.
        remedy: What to do about it, unless ``said`` says it.
        exit_code: The exit code of a run that fails for this reason; 0 unless the level is ``fail``.
    """

    check: str
    level: str
    said: str
    remedy: str | None = None
    exit_code: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return asdict(self)

    def line(self) -> str:
        """One line for a person."""
        text = " ".join(f"{self.said}; {self.remedy}".split() if self.remedy else self.said.split())
        return f"{self.level:<4}  {self.check:<13}  {text}"


@dataclass
class Known:
    """What the checks so far have found, for those after them.

    Attributes:
        settings: The settings, if they can be read.
        database: The open database, if it can be reached; the models are bound to it.
        schema: ``True`` if its schema is that of this version, else ``None``.
        tasks: The usable tasks by name.
        provenance: What a run of each task would use, by its name.
        stack: Closed after the last check.
    """

    settings: Settings | None = None
    database: peewee.Database | None = None
    schema: bool | None = None
    tasks: dict[str, Task] = field(default_factory=dict)
    provenance: dict[str, Provenance] = field(default_factory=dict)
    stack: ExitStack = field(default_factory=ExitStack)


def exit_code_of(findings: Iterable[Finding]) -> int:
    """The exit code of the first failure; 0 if there is none."""
    return next((found.exit_code for found in findings if found.level == FAIL), 0)
