"""What the checks find: for the operator, and for the checks after them."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

import peewee

from astra.config import Settings
from astra.database.connection import translated
from astra.errors import AstraError
from astra.system.plugins import raised
from astra.tasks.contract import Provenance, Task

log = logging.getLogger("astra")

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
        memory: Whether there is enough of it for the libraries of a run.
        stack: Closed after the last check.
    """

    settings: Settings | None = None
    database: peewee.Database | None = None
    schema: bool | None = None
    tasks: dict[str, Task] = field(default_factory=dict)
    provenance: dict[str, Provenance] = field(default_factory=dict)
    memory: bool = False
    stack: ExitStack = field(default_factory=ExitStack)


def guarded(check: str, findings: Iterable[Finding], task: str | None = None) -> Iterator[Finding]:
    """Findings, in which whatever is raised becomes a failure and the last of them.

    Args:
        check: The name of the check.
        findings: What it finds.
        task: The task that it is about, if it is about one.
    """
    about = f"{task}: " if task else ""
    try:
        yield from findings
    except (AstraError, peewee.PeeweeException) as error:
        known = error if isinstance(error, AstraError) else translated(error)
        yield Finding(check, FAIL, f"{about}{known}", exit_code=known.exit_code)
    except Exception as error:  # noqa: BLE001 - the other checks are made in any case
        log.debug("the check of %s failed", task or check, exc_info=True)
        said = f"{about}cannot be checked ({raised(error)})"
        yield Finding(check, FAIL, said, "`astra --debug doctor` shows where", AstraError.exit_code)


def exit_code_of(findings: Iterable[Finding]) -> int:
    """The exit code of the first failure; 0 if there is none."""
    return next((found.exit_code for found in findings if found.level == FAIL), 0)
