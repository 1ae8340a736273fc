"""Who may do what on PostgreSQL: two roles without a login, to be granted to people and programs.

    the owner        whoever runs `astra init`: makes and alters the tables
    PREFIX_writer    runs tasks and ingests: reads all tables of the schema, writes those that it has to
    PREFIX_reader    reads all tables of the schema

All rights are within the configured schema; the only other is to connect to its database. Logins find its
tables without its name.
"""

import itertools
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass

import peewee

from astra.config import Settings
from astra.database.connection import sqlite_file, translated
from astra.database.locks import changing_schema
from astra.database.schemas import letting_find
from astra.errors import StorageError, UsageError
from astra.models import TABLES, Source, TaskRun, TaskTrial
from astra.models.base import BaseModel
from astra.models.pipeline import PipelineOutputModel
from astra.schema.packages import HISTORY
from astra.tasks.contract import Task
from astra.tasks.installed import installed_tasks
from astra.tasks.trials import sources_of_trial

log = logging.getLogger("astra")

_PREFIX = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,49}")

#: No one but the owner removes results, or the record of a run.
KEEP = ("SELECT", "INSERT", "UPDATE")
CHANGE = ("SELECT", "INSERT", "UPDATE", "DELETE")
#: The owner makes, promotes and drops trials.
READ = ("SELECT",)


@dataclass(frozen=True)
class Roles:
    """The names of the roles, and of all that their rights are about.

    Attributes:
        reader: The role that reads.
        writer: The role that works.
        owner: Whoever owns the tables, and will own those of later migrations.
        user: Whoever is connected.
        database: The database they may connect to.
        schema: The schema that their rights are in.
    """

    reader: str
    writer: str
    owner: str
    user: str
    database: str
    schema: str


def needed_by_writer(tasks: Iterable[Task]) -> dict[str, tuple[str, ...]]:
    """What a worker of these tasks, or an ingest, does with each table, by the table's name."""
    models = (model for task in tasks for model in (*task.spectrum_models, task.output_model))
    return {model._meta.table_name: _rights_on(model) for model in dict.fromkeys((*TABLES, *models))}


def needed_in_trials() -> dict[str, tuple[str, ...]]:
    """What a worker does with the tables and views of the trials that are there, by their names."""
    if not TaskTrial.table_exists():
        return {}
    trials = list(TaskTrial.select())
    return {name: KEEP for trial in trials for name in (trial.table_name, sources_of_trial(trial))}


def _rights_on(model: type[BaseModel]) -> tuple[str, ...]:
    if model is TaskTrial:
        return READ
    return KEEP if model is TaskRun or issubclass(model, PipelineOutputModel) else CHANGE


def check_possible(settings: Settings, prefix: str) -> None:
    """Refuse what cannot be, before anything is made.

    Raises:
        UsageError: The settings name SQLite, or the prefix makes no names of roles.
    """
    if (file := sqlite_file(settings)) is not None:
        raise UsageError(
            f"--roles is for PostgreSQL, and SQLite has no roles: who may use {file} is decided by the "
            "permissions of that file and of its folder"
        )
    if not _PREFIX.fullmatch(prefix):
        raise UsageError(
            f"--role-prefix {prefix}: give up to 50 of a-z, 0-9 and _, not a digit first, and not pg_"
        )


def roles_in(database: peewee.Database, schema: str, prefix: str) -> Roles:
    """The roles of a schema in an open PostgreSQL database."""
    user, name = database.execute_sql("SELECT current_user, current_database()").fetchone()
    query = "SELECT tableowner FROM pg_tables WHERE schemaname = %s AND tablename = %s"
    found = database.execute_sql(query, (schema, Source._meta.table_name)).fetchone()
    owner = found[0] if found else user
    return Roles(f"{prefix}_reader", f"{prefix}_writer", owner, user=user, database=name, schema=schema)


def creating(database: peewee.Database, roles: Roles) -> list[str]:
    """The statements that make those of the roles that are not there."""
    query, names = "SELECT rolname FROM pg_roles WHERE rolname IN (%s, %s)", (roles.reader, roles.writer)
    there = {name for (name,) in database.execute_sql(query, names)}
    return [f"CREATE ROLE {_quoted(name)} NOLOGIN" for name in names if name not in there]


def granting(database: peewee.Database, roles: Roles) -> list[str]:
    """The statements that give the roles their rights; safe to repeat."""
    schema, reader, writer = (_quoted(name) for name in (roles.schema, roles.reader, roles.writer))
    both, later = f"{reader}, {writer}", f"ALTER DEFAULT PRIVILEGES FOR ROLE {_quoted(roles.owner)}"
    there = set(database.get_tables(schema=roles.schema)) or {model._meta.table_name for model in TABLES}
    tasks = []
    for task in installed_tasks().values():
        if isinstance(task, Task):
            tasks.append(task)
        else:
            log.warning("%s; nobody gets a right to write its results", task)
    there |= {view.name for view in database.get_views(schema=roles.schema)}
    wanted = needed_by_writer(tasks) | needed_in_trials()
    needed = {table: rights for table, rights in wanted.items() if table in there}
    written = [
        f"GRANT {', '.join(rights[1:])} ON {schema}.{_quoted(table)} TO {writer}"
        for table, rights in needed.items()
        if rights != READ
    ]
    # Tables that came after the roles have all rights of `later`.
    taken = {
        table: ", ".join(right for right in CHANGE if right not in rights) for table, rights in needed.items()
    }
    taken = {table: rights for table, rights in taken.items() if rights}
    taken |= {table: "INSERT, UPDATE, DELETE" for table in sorted(there) if table.startswith(HISTORY)}
    written += [
        f"REVOKE {rights} ON {schema}.{_quoted(table)} FROM {writer}" for table, rights in taken.items()
    ]
    return [
        f"GRANT CONNECT ON DATABASE {_quoted(roles.database)} TO {both}",
        f"GRANT USAGE ON SCHEMA {schema} TO {both}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {both}",
        *written,
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {writer}",
        # What later migrations make: an upgrade must not lock out those who work.
        f"{later} IN SCHEMA {schema} GRANT SELECT ON TABLES TO {both}",
        f"{later} IN SCHEMA {schema} GRANT INSERT, UPDATE, DELETE ON TABLES TO {writer}",
        f"{later} IN SCHEMA {schema} GRANT USAGE ON SEQUENCES TO {writer}",
        *letting_find(database, roles.schema),
    ]


def set_up(database: peewee.Database, roles: Roles) -> None:
    """Make the roles, and give them their rights; all of it or nothing.

    Raises:
        StorageError: The connected role may not do that; the message says who may, and how.
    """
    try:
        with changing_schema(database), database.atomic():
            missing = creating(database, roles)
            query = "SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user"
            if missing and not database.execute_sql(query).fetchone()[0]:
                raise StorageError(
                    f"{roles.user} may not create roles; ask an administrator to run: {'; '.join(missing)}; "
                    "then repeat `astra init --roles`"
                )
            for statement in (*missing, *granting(database, roles)):
                database.execute_sql(statement)
            _check(database, roles)
    except peewee.PeeweeException as error:
        known = translated(error, "refused to grant")
        remedy = (
            "`astra init --roles --dry-run` prints the SQL for the owner of the schema, or an administrator"
        )
        raise type(known)(f"{known}; {remedy}") from error


def _check(database: peewee.Database, roles: Roles) -> None:
    """PostgreSQL only warns where somebody who is not the owner grants something."""
    table = f"{_quoted(roles.schema)}.{_quoted(Source._meta.table_name)}"
    asked = (
        ("CONNECT", "database", roles.database),
        ("USAGE", "schema", roles.schema),
        ("SELECT", "table", table),
    )
    for (right, kind, name), role in itertools.product(asked, (roles.reader, roles.writer)):
        query = f"SELECT has_{kind}_privilege(%s, %s, %s)"
        if not database.execute_sql(query, (role, name, right)).fetchone()[0]:
            raise StorageError(
                f"{roles.user} may not grant {right} on the {kind} {name} to {role}: `astra init --roles "
                "--dry-run` prints the SQL for the owner of it, or an administrator"
            )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
