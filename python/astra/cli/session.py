"""What most commands need: the settings, and the configured database with the right schema."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from astra.config import Settings


@contextmanager
def database_session() -> "Iterator[Settings]":
    """Open the configured database, check its schema, and bind the models to it.

    Raises:
        ConfigError: There is no such SQLite file, or its schema is not the one of this version.
        DatabaseUnreachable: PostgreSQL cannot be reached.
    """
    from astra.config import load_settings
    from astra.database.connection import bound_to, open_database
    from astra.schema import upgrade as schema

    settings = load_settings()
    with bound_to(open_database(settings)) as database:
        schema.check(database)
        yield settings
