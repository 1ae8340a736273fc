"""The column ``source.origins``, until the models and the migration have it."""

from collections.abc import Iterator

import peewee
import pytest

from astra.fields import TextField
from astra.models import Source


@pytest.fixture
def db(db: peewee.Database) -> Iterator[peewee.Database]:
    """The database of a test, with the column."""
    if "origins" in Source._meta.fields:
        yield db
        return
    db.execute_sql("ALTER TABLE source ADD COLUMN origins TEXT")
    Source._meta.add_field("origins", TextField(null=True))
    yield db
    Source._meta.remove_field("origins")
