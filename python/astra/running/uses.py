"""Where in the configured database weights are in use."""

from contextlib import ExitStack

import peewee

from astra.config import Settings
from astra.database.connection import bound_to, database, is_missing_table, open_database
from astra.errors import ConfigError
from astra.models import AstroNNdist
from astra.models.pipeline import TaskRun, TaskTrial


def rows_made_with(sha256: str, settings: Settings) -> dict[str, int]:
    """How many results weights have made, by the tables that hold them: production's and those of trials.

    Args:
        sha256: Of the weights.
        settings: Where the database is; one that is not there, or has no tables, has no results.

    Raises:
        DatabaseUnreachable: PostgreSQL cannot be reached.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(bound_to(open_database(settings)))
            names = [trial.table_name for trial in TaskTrial.select(TaskTrial.table_name)]
            return {
                name: count
                for name in dict.fromkeys([AstroNNdist._meta.table_name, *names])
                if (count := _count(name, sha256))
            }
        except ConfigError:
            return {}
        except peewee.PeeweeException as error:
            if is_missing_table(error):
                return {}
            raise


def _count(name: str, sha256: str) -> int:
    table = peewee.Table(name, alias="results").bind(database)
    runs = TaskRun.select(TaskRun.pk).where(TaskRun.weights_sha256 == sha256)
    return table.select().where(table.c.run_pk.in_(runs)).count()
