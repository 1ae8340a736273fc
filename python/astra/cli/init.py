"""``astra init``."""

from astra.cli.console import note, say

EXAMPLES = """Examples:

  astra init

  ASTRA_DATABASE_PATH=my.db astra init

  ASTRA_DATABASE_URL=postgresql://me@db.example.org/survey astra init
"""


def init() -> None:
    """Create the tables, or upgrade them to this version; safe to repeat."""
    from astra import schema
    from astra.config import load_settings
    from astra.database import open_database
    from astra.models.base import bound_to

    settings = load_settings()
    place = next(f"{shown}" for name, shown, _ in settings.flat() if name in _PLACES)
    with bound_to(open_database(settings, create=True)) as database:
        applied = schema.upgrade(database, settings)
    for name in applied:
        note(f"applied {name}")
    say(f"{place}: {'schema is ready' if applied else 'schema was up to date'}")


_PLACES = ("database.path", "database.url", "database.dbname", "database.host", "database.user")
