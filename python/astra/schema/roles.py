"""Who may do what on PostgreSQL: two roles without a login, to be granted to people and programs.

    the owner        whoever runs `astra init`: makes and alters the tables
    PREFIX_writer    runs tasks and ingests: reads all tables of the schema, writes those that it has to
    PREFIX_reader    reads all tables of the schema

All rights are within the configured schema; the only other is to connect to its database. Logins find its
tables without its name.

The right to delete is given table by table, where a worker or an ingest deletes rows: a table that is made
later has none, until ``astra init``, which makes it, has looked what it is for.
"""

import itertools
import logging
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import peewee

from astra.config import Settings
from astra.database.connection import is_postgresql, one_line, sqlite_file, translated
from astra.database.locks import changing_schema
from astra.database.schemas import letting_find
from astra.errors import StorageError, UsageError
from astra.models import TABLES, Source, TaskRun, TaskTrial, TaskTrialEbv
from astra.models.base import BaseModel
from astra.models.pipeline import PipelineOutputModel
from astra.schema.packages import HISTORY
from astra.tasks.contract import Task
from astra.tasks.installed import installed_tasks
from astra.tasks.trials import sources_of_trial

log = logging.getLogger("astra")

_PREFIX = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,49}")
_READER, _WRITER = "_reader", "_writer"

#: No one but the owner removes results, or the record of a run.
KEEP = ("SELECT", "INSERT", "UPDATE")
CHANGE = ("SELECT", "INSERT", "UPDATE", "DELETE")
#: The owner makes, promotes and drops trials.
READ = ("SELECT",)
#: Rows are given to another source where two are one star; rows of a view are kept from being deleted.
REFER = ("SELECT", "UPDATE")

_RIGHTS_OF: dict[type[BaseModel], tuple[str, ...]] = {TaskTrial: READ, TaskTrialEbv: REFER, TaskRun: KEEP}

# Tables with what all tables of results have, whatever package they are of.
_RESULTS = """
SELECT relname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %s) AND relkind IN ('r', 'p')
    AND attname IN ('task_pk', 'spectrum_pk', 'run_pk', 'v_astra_major_minor') AND NOT attisdropped
GROUP BY relname HAVING count(*) = 4
"""
_HELD = """
SELECT relname, privilege_type FROM pg_class, aclexplode(relacl)
WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %s)
    AND grantee = (SELECT oid FROM pg_roles WHERE rolname = %s)
"""
_LATER = """
SELECT pg_get_userbyid(grantee), pg_get_userbyid(defaclrole), array_agg(privilege_type)
FROM pg_default_acl JOIN pg_namespace ON pg_namespace.oid = defaclnamespace, aclexplode(defaclacl)
WHERE nspname = %s AND defaclobjtype = 'r' GROUP BY 1, 2
"""


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
    return {trial.table_name: KEEP for trial in trials} | {sources_of_trial(trial): REFER for trial in trials}


def _rights_on(model: type[BaseModel]) -> tuple[str, ...]:
    return _RIGHTS_OF.get(model, KEEP if issubclass(model, PipelineOutputModel) else CHANGE)


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
    return Roles(prefix + _READER, prefix + _WRITER, owner, user=user, database=name, schema=schema)


def creating(database: peewee.Database, roles: Roles) -> list[str]:
    """The statements that make those of the roles that are not there."""
    query, names = "SELECT rolname FROM pg_roles WHERE rolname IN (%s, %s)", (roles.reader, roles.writer)
    there = {name for (name,) in database.execute_sql(query, names)}
    return [f"CREATE ROLE {_quoted(name)} NOLOGIN" for name in names if name not in there]


def granting(database: peewee.Database, roles: Roles) -> list[str]:
    """The statements that give the roles their rights; safe to repeat."""
    schema, reader, writer = (_quoted(name) for name in (roles.schema, roles.reader, roles.writer))
    both, later = f"{reader}, {writer}", f"ALTER DEFAULT PRIVILEGES FOR ROLE {_quoted(roles.owner)}"
    return [
        f"GRANT CONNECT ON DATABASE {_quoted(roles.database)} TO {both}",
        f"GRANT USAGE ON SCHEMA {schema} TO {both}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {both}",
        *_writing(roles, _needed_there(database, roles)),
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {writer}",
        # What later migrations make: an upgrade must not lock out those who work.
        f"{later} IN SCHEMA {schema} GRANT SELECT ON TABLES TO {both}",
        f"{later} IN SCHEMA {schema} GRANT INSERT, UPDATE ON TABLES TO {writer}",
        f"{later} IN SCHEMA {schema} REVOKE DELETE ON TABLES FROM {writer}",
        f"{later} IN SCHEMA {schema} GRANT USAGE ON SEQUENCES TO {writer}",
        *letting_find(database, roles.schema),
    ]


def _needed_there(database: peewee.Database, roles: Roles) -> dict[str, tuple[str, ...]]:
    """What a writer does with each table and view that is there; all tables of Astra where none is yet."""
    there = set(database.get_tables(schema=roles.schema)) or {model._meta.table_name for model in TABLES}
    there |= {view.name for view in database.get_views(schema=roles.schema)}
    tasks = []
    for task in installed_tasks().values():
        if isinstance(task, Task):
            tasks.append(task)
        else:
            log.warning("%s; nobody gets more than the right to add rows to its tables", task)
    wanted = {table: KEEP for (table,) in database.execute_sql(_RESULTS, (roles.schema,))}
    wanted |= needed_by_writer(tasks) | needed_in_trials()
    wanted |= {table: READ for table in there if table.startswith(HISTORY)}
    return {table: rights for table, rights in sorted(wanted.items()) if table in there}


def _writing(
    roles: Roles, needed: Mapping[str, tuple[str, ...]], held: Mapping[str, Collection[str]] | None = None
) -> list[str]:
    """The statements that give a writer what it needs of each table that it has not, and take the rest."""
    schema, writer, statements = _quoted(roles.schema), _quoted(roles.writer), []
    for table, rights in needed.items():
        has = CHANGE if held is None else held.get(table, ())
        given = [right for right in rights if held is None or right not in has]
        taken = [right for right in CHANGE if right in has and right not in rights]
        for change, which, to in (("GRANT", given, "TO"), ("REVOKE", taken, "FROM")):
            if which:
                statements.append(f"{change} {', '.join(which)} ON {schema}.{_quoted(table)} {to} {writer}")
    return statements


def follow(database: peewee.Database, schema: str) -> None:
    """Give the writers that are there the rights that this version needs, and take those that it does not.

    They are known by their rights on tables that are made later. What is right already is not touched.
    """
    if not is_postgresql(database):
        return
    for writer, owner, rights in database.execute_sql(_LATER, (schema,)).fetchall():
        if not writer.endswith(_WRITER) or "INSERT" not in rights:
            continue
        roles = roles_in(database, schema, writer.removesuffix(_WRITER))
        held: dict[str, set[str]] = {}
        for table, right in database.execute_sql(_HELD, (schema, writer)):
            held.setdefault(table, set()).add(right)
        statements = _writing(roles, _needed_there(database, roles), held)
        if "DELETE" in rights:
            later = f"ALTER DEFAULT PRIVILEGES FOR ROLE {_quoted(owner)} IN SCHEMA {_quoted(schema)}"
            statements.append(f"{later} REVOKE DELETE ON TABLES FROM {_quoted(writer)}")
        try:
            with database.atomic():
                for statement in statements:
                    database.execute_sql(statement)
        except peewee.ProgrammingError as error:
            log.warning(
                "the rights of %s are not those that this version needs (%s); let the owner of the tables "
                "run: %s",
                writer,
                one_line(error),
                "; ".join(statements),
            )
            continue
        if statements:
            log.info("the rights of %s are those that this version needs: %s", writer, "; ".join(statements))


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
