"""What the checks so far have found out, for those that come after them."""

from contextlib import ExitStack
from dataclasses import dataclass, field

import peewee

from astra.config import Settings
from astra.tasks.contract import Provenance, Task


@dataclass
class Known:
    """What the checks so far have found out.

    Attributes:
        settings: The settings, if they can be read.
        database: The open database, if it can be reached; the models are bound to it.
        schema: Whether its schema is that of this version, else ``None``.
        tasks: The tasks that can be used, by their names.
        provenance: By task, what a run would use.
        stack: Is closed after the last check.
    """

    settings: Settings | None = None
    database: peewee.Database | None = None
    schema: bool | None = None
    tasks: dict[str, Task] = field(default_factory=dict)
    provenance: dict[str, Provenance] = field(default_factory=dict)
    stack: ExitStack = field(default_factory=ExitStack)
