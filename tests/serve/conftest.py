"""The small survey, served."""

from collections.abc import Iterator

import peewee
import pytest

from astra.serve.serving import Served, prepared

from served_pages import Pages, opened, uncounted
from small_survey import fill_survey


@pytest.fixture
def survey(db) -> peewee.Database:
    """The survey in a database of one's own."""
    fill_survey()
    return db


@pytest.fixture
def served(survey) -> Iterator[Served]:
    """A SQLite file with the survey, and then a copy of PostgreSQL."""
    with prepared(survey, uncounted) as found:
        yield found


@pytest.fixture
def pages(served) -> Iterator[Pages]:
    """The pages of it."""
    with opened(served) as found:
        yield found
