"""``astra init``."""

from contextlib import suppress
from typing import Annotated

import typer

from astra.cli.console import AsJson, examples, fail, note, say, say_as_is, say_json
from astra.cli.progress import stages

EXAMPLES = examples(
    "astra init",
    "ASTRA_DATABASE_PATH=my.db astra init",
    "ASTRA_DATABASE_URL=postgresql://me@db.example.org/survey astra init",
    "astra init --json",
    "astra init --plan",
    "astra init --roles --role-prefix survey",
    "astra init --roles --dry-run > roles.sql",
)

_PLACES = ("database.path", "database.url", "database.dbname", "database.host", "database.user")

WithRoles = Annotated[
    bool, typer.Option("--roles", help="Also make roles for workers and readers (PostgreSQL).")
]
RolePrefix = Annotated[str, typer.Option(metavar="NAME", help="Their names are NAME_writer and NAME_reader.")]
WithPlan = Annotated[
    bool, typer.Option("--plan", help="Say what would be done, and how long it takes; do nothing.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the SQL of --roles, and do nothing.")]


def init(
    roles: WithRoles = False,
    role_prefix: RolePrefix = "astra",
    dry_run: DryRun = False,
    plan: WithPlan = False,
    as_json: AsJson = False,
) -> None:
    """Create the tables, or upgrade them to this version; safe to repeat.

    The tables of all installed tasks are among them, those of other packages too. What is wrong with one of
    these packages is an error on one line, and keeps no other from its tables.

    It can be started while others read, and while runs write: it waits briefly for each lock, gives way, and
    tries again; killed, it goes on when started again. --plan says what it would do, and to which rows.

    What the network needs is compiled as well, once for this processor, so that no run waits for it.

    With --roles, two roles without a login get the rights that they need in the schema, and no others: a
    writer, for astra run and astra ingest, and a reader. Grant them to people. Whoever runs astra init owns
    the tables: let it be the same login each time. Exit codes: 0 done, 2 wrong usage (SQLite has no roles),
    69 database not reachable, 74 the database refused it, 75 others had a table for too long (run again), 78
    wrong configuration or schema, or a package whose tables could not be made.
    """
    from astra.config import load_settings
    from astra.database.connection import bound_to, open_database
    from astra.errors import UsageError, worst
    from astra.schema import upgrade as schema
    from astra.schema.plan import plan as planned
    from astra.schema.roles import check_possible, creating, granting, roles_in, set_up

    if dry_run and (not roles or as_json):
        raise UsageError("--dry-run prints the SQL of --roles: give both, and not --json")
    if plan and (roles or dry_run):
        raise UsageError("--plan is about the tables: give it without --roles and --dry-run")
    settings = load_settings()
    if plan:
        with bound_to(open_database(settings)) as database:
            found = planned(database)
        say_json(found.as_dict(), "init --plan") if as_json else say(*"\n".join(found.lines()).split("\n"))
        return
    if roles:
        check_possible(settings, role_prefix)
    with bound_to(open_database(settings, create=True)) as database:
        if dry_run:
            both = roles_in(database, settings.database.schema_, role_prefix)
            statements = creating(database, both) + granting(database, both)
            say_as_is("\n".join(f"{statement};" for statement in statements))
            return
        with stages():
            done = schema.upgrade(database, settings)
        lines = done.lines()
        for line in lines:
            note(line)
        for error in done.refused:
            fail(str(error), error.exit_code)
        place = next(str(shown) for name, shown, _ in settings.flat() if name in _PLACES)
        if not as_json:
            say(f"{place}: {'schema is ready' if lines else 'schema was up to date'}")
        names: list[str] = []
        if roles:
            both = roles_in(database, settings.database.schema_, role_prefix)
            set_up(database, both)
            names = [both.reader, both.writer]
            if not as_json:
                say(f"roles are ready; to grant one: GRANT {both.writer} TO …; or GRANT {both.reader} TO …;")
    _compile_ahead()
    exit_code = worst(error.exit_code for error in done.refused)
    if as_json:
        say_json({"database": place, **done.as_dict(), "roles": names, "exit_code": exit_code}, "init")
    raise typer.Exit(exit_code)


def _compile_ahead() -> None:
    from astra.errors import AstraError
    from astra.system.processes import check_memory
    from astra.tasks.installed import find_task

    with stages() as tell, suppress(AstraError):  # what is wrong with the weights, a run will say
        check_memory()
        tell("compiling", 0, None)
        find_task("astronn_dist").prepare(device="cpu")
