"""The database: its connection and schema, the rights of this login, and what runs have left in it."""

import os
import sqlite3
import time
from collections.abc import Iterator

import peewee

from astra.database.connection import bound_to, is_postgresql, now, open_database
from astra.database.sqlite import SQLITE_WAIT_S
from astra.doctor.findings import FAIL, OK, WARN, Finding, Known, guarded
from astra.errors import ConfigError, StorageError
from astra.models import TABLES, TaskWorker
from astra.running.runs import OtherOptions, mixture, refuse_to_mix
from astra.schema import upgrade as schema
from astra.schema.plan import plan
from astra.schema.roles import needed_by_writer
from astra.status.overview import DEAD, UNKNOWN, suspects_of, workers_of
from astra.tasks.contract import Task
from astra.tasks.installed import task_names

#: With fewer connections left, the next worker may get none.
FEW_CONNECTIONS = 10

# How long to wait for another process that writes to a SQLite file [s].
_WRITE_WAIT_S = 2.0


def check_connection(known: Known) -> Iterator[Finding]:
    """Whether the database can be reached, and as which user."""
    begin = time.perf_counter()
    known.database = known.stack.enter_context(bound_to(open_database(known.settings)))
    milliseconds = 1000 * (time.perf_counter() - begin)
    if not is_postgresql(known.database):
        file = known.database.database
        said = f"SQLite {sqlite3.sqlite_version}, {file} ({os.path.getsize(file) / 1e6:,.1f} MB)"
        yield Finding("database", OK, said)
        return
    query = (
        "SELECT current_setting('server_version'), current_database(), current_schema(), current_user, "
        "pg_backend_pid()"
    )
    version, name, seen, user, pid = known.database.execute_sql(query).fetchone()
    where = f"database {name}, schema {seen or f'{known.settings.database.schema_} (not seen)'}, as {user}"
    if pid != known.database.connection().info.backend_pid:
        where += ", through a proxy that keeps sessions"
    yield Finding("database", OK, f"PostgreSQL {version}, {where}; connected in {milliseconds:.0f} ms")
    yield from _connections(known.database)


def _connections(database: peewee.Database) -> Iterator[Finding]:
    query = (
        "SELECT (SELECT count(*) FROM pg_stat_activity WHERE datid IS NOT NULL), "
        "current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
    )
    used, most = database.execute_sql(query).fetchone()
    said = f"{used} of {most} connections of the server are in use"
    if most - used < FEW_CONNECTIONS:
        remedy = "each worker process takes two, and its run one: start fewer, or raise max_connections"
        yield Finding("database", WARN, said, remedy)
    else:
        yield Finding("database", OK, said)


def check_schema(known: Known) -> Iterator[Finding]:
    """Whether the tables are those of this version."""
    try:
        schema.check(known.database)
    except schema.OlderSchema as error:
        yield Finding("schema", FAIL, str(error), plan(known.database).short(), error.exit_code)
        return
    for model in TABLES:
        table = model._meta.table_name
        # On SQLite get_columns leaves out generated columns.
        columns = known.database.execute_sql(f"SELECT * FROM {table} LIMIT 0").description
        there = {name for name, *_ in columns}
        lacking = [f.column_name for f in model._meta.sorted_fields if f.column_name not in there]
        if lacking:
            raise ConfigError(
                f"the table {table} has no {', '.join(lacking)}, though all migrations were applied: "
                "somebody has altered it; restore it from a backup, or add what is missing by hand"
            )
    known.schema = True
    yield Finding(
        "schema", OK, f"{len(schema.runner(known.database).migrations())} migrations, none is missing"
    )


def check_rights(known: Known) -> Iterator[Finding]:
    """Whether this login may write the tables that a run writes."""
    if is_postgresql(known.database):
        _check_grants(known)
    elif not _can_write_soon(known.database):
        said = f"another process has been writing for {_WRITE_WAIT_S:g} s and more"
        remedy = f"a run waits up to {SQLITE_WAIT_S} s for each of its writes; many writers want PostgreSQL"
        yield Finding("rights", WARN, said, remedy)
        return
    yield Finding("rights", OK, "this login may run tasks, and ingest")


def _check_grants(known: Known) -> None:
    if known.database.execute_sql("SHOW transaction_read_only").fetchone() == ("on",):
        raise StorageError(
            "nothing can be written here: this is a standby server (name the primary one), or "
            "default_transaction_read_only is on for the database or the login"
        )
    lacking: dict[str, list[str]] = {}
    for table, rights in needed_by_writer(known.tasks.values()).items():
        for right in rights:
            query = "SELECT has_table_privilege(%s, %s)"
            if not known.database.execute_sql(query, (f'"{table}"', right)).fetchone()[0]:
                lacking.setdefault(right, []).append(table)
    sequences = (
        "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace "
        "AND CASE WHEN relkind = 'S' THEN NOT has_sequence_privilege(oid, 'USAGE') END ORDER BY relname"
    )
    if found := [name for (name,) in known.database.execute_sql(sequences)]:
        lacking["USAGE"] = found
    if lacking:
        listed = "; ".join(f"{right} on {', '.join(names)}" for right, names in lacking.items())
        raise StorageError(
            f"this login may not write what a run writes: it lacks {listed}. "
            "For a reader that is as it should be; for a worker, GRANT it the writer of `astra init --roles`"
        )


def _can_write_soon(database: peewee.Database) -> bool:
    """Whether SQLite lets this process write within a few seconds.

    Raises:
        StorageError: The file cannot be written.
    """
    database.execute_sql(f"PRAGMA busy_timeout = {_WRITE_WAIT_S * 1000:.0f}")
    try:
        # A write of no row, since SQLite begins a transaction even on a read-only file.
        with database.atomic("IMMEDIATE"):
            TaskWorker.delete().where(TaskWorker.pk.is_null()).execute()
        return True
    except peewee.OperationalError as error:
        if "locked" in str(error):
            return False
        raise StorageError(f"{database.database} cannot be written: {error}") from error
    finally:
        database.execute_sql(f"PRAGMA busy_timeout = {SQLITE_WAIT_S * 1000}")


def check_results(known: Known) -> Iterator[Finding]:
    """Whether the weights in force are those of the results so far."""
    for task in known.tasks.values():
        yield from guarded("results", _mixture(known, task), task.name)


def _mixture(known: Known, task: Task) -> Iterator[Finding]:
    if task.name not in known.provenance:
        yield Finding("results", WARN, f"{task.name}: not checked, for that needs the weights")
        return
    if mixed := mixture(task):
        listed = "; ".join(f"{rows:,} rows of {origin}" for origin, rows in mixed.items())
        said = f"{task.name}: the results are a mixture: {listed}"
        yield Finding("results", WARN, said, f"`astra run {task.name} --overwrite` makes all anew")
    try:
        refuse_to_mix(task, known.provenance[task.name])
    except OtherOptions as error:
        if not mixed:  # then no options are those of all rows
            yield Finding("results", WARN, str(error), f"give `astra run {task.name}` the same options again")
    except ConfigError as error:  # which names the task
        yield Finding("results", FAIL, str(error), exit_code=error.exit_code)
    else:
        if mixed:
            return
        yield Finding("results", OK, f"{task.name}: no rows of other weights, seeds, draws or options")


def check_claims(known: Known) -> Iterator[Finding]:
    """Whether all workers that hold spectra are alive."""
    moment = now(known.database)
    for name in task_names():
        workers, suspects = workers_of(name, moment), suspects_of(name)
        findings = []
        for state, said in ((DEAD, "seem dead"), (UNKNOWN, "may be dead: nobody can tell from here")):
            places = [f"{worker['host']}:{worker['pid']}" for worker in workers if worker["state"] == state]
            if places:
                said = f"{name}: {len(places)} workers {said} ({', '.join(places)})"
                remedy = f"`astra run {name}` takes over what dead ones had in hand"
                findings.append(Finding("claims", WARN, said, remedy))
        if waiting := suspects["waiting"]:
            said = f"{name}: {waiting:,} spectra wait to be taken alone, because a worker died that had them"
            findings.append(Finding("claims", WARN, said, f"`astra run {name}` takes them one by one"))
        in_hand = sum(worker["in_hand"] for worker in workers)
        fine = Finding("claims", OK, f"{name}: {len(workers)} workers, {in_hand:,} spectra in hand")
        yield from findings or [fine]
