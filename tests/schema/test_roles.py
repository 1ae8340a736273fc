"""``astra init --roles``: on a real server, each role can do its work and nothing else."""

import contextlib
import json

import guests
import psycopg2
import pytest
from builders import a_source, a_spectrum, write_apstar

from astra.config import load_settings
from astra.database.connection import bound_to, now, open_database
from astra.models import AstroNNdist, Distance, Source, Spectrum, TaskClaim, TaskWorker

from roles import quoted, sql

REFUSED = r"(permission denied|must be owner)"


@pytest.fixture
def three_stars(survey, tmp_path):
    """Three pending spectra with files."""
    with opened():
        for number in range(3):
            a_spectrum(a_source(), write_apstar(tmp_path / f"apStar-dr17-{number}.fits"))


def opened():
    return bound_to(open_database(load_settings()))


def roles(astra, prefix, *more):
    return astra("init", "--roles", "--role-prefix", prefix, *more)


pytestmark = pytest.mark.postgres


# > What a writer does


@pytest.mark.parametrize("workers", [1, 2])
def test_a_writer_runs_the_task_and_sees_its_status(astra, three_stars, become, prefix, toy_weights, workers):
    roles(astra, prefix)
    become(f"{prefix}_writer")

    code, out, err = astra("run", "astronn_dist", "--weights", toy_weights, "--workers", workers, "--json")

    assert (code, json.loads(out)["measured"]) == (0, 3), err
    (found,) = json.loads(astra("status", "--json")[1])["tasks"]
    assert (found["done"], found["pending"], found["workers"]) == (3, 0, [])


def test_a_writer_takes_over_what_a_dead_worker_had_in_hand(astra, three_stars, become, prefix, toy_weights):
    roles(astra, prefix)
    become(f"{prefix}_writer")
    with opened() as database:
        worker = {"task": "astronn_dist", "host": "there", "pid": 1, "started": now(database)}
        key = TaskWorker.insert(worker).execute()
        for (pk,) in Spectrum.select(Spectrum.pk).tuples():
            claim = {"task": "astronn_dist", "spectrum_pk": pk, "worker_pk": key, "token": 1}
            TaskClaim.insert(claim | {"suspect": False, "attempts": 0, "since": now(database)}).execute()

    code, _, err = astra("run", "astronn_dist", "--weights", toy_weights)

    assert code == 0, err
    assert f"worker {key} on there (process 1) died" in err
    with opened():
        assert (AstroNNdist.select().count(), TaskWorker.select().count()) == (3, 0)


def test_a_writer_ingests_files_and_corrects_what_it_has_ingested(astra, become, prefix, tmp_path):
    roles(astra, prefix)
    become(f"{prefix}_writer")
    path = write_apstar(tmp_path / "apStar-dr17-2M00000001+0000001.fits", header={"K": 9.0})

    first = astra("ingest", "apstar", path, "--release", "dr17")
    write_apstar(path, header={"K": 8.0, "OBJID": "2M00000001+0000001"})
    second = astra("ingest", "apstar", path, "--release", "dr17")

    assert (first[0], second[0]) == (0, 0), first[2] + second[2]
    with opened():
        assert Source.select().count() >= 1


def test_a_writer_joins_two_sources_beside_a_table_that_it_may_not_change(
    astra, survey, become, prefix, tmp_path
):
    sql(survey, "CREATE TABLE guest (source_pk BIGINT REFERENCES source)")
    with opened():
        for number in (1, 2):
            a_source(sdss_id=number, sdss4_apogee_id=None)
            lost = a_source(sdss_id=None, sdss4_apogee_id=f"A{number}")
    sql(survey, f"INSERT INTO guest VALUES ({lost.pk})")
    roles(astra, prefix)
    become(f"{prefix}_writer")
    for number in (1, 2):
        path = tmp_path / f"apStar-dr17-A{number}.fits"
        write_apstar(path, header={"OBJID": f"A{number}", "SDSS_ID": number})

    code, _, err = astra("ingest", "apstar", tmp_path)

    assert code == 0, err
    assert "table guest (permission denied for table guest)" in err
    with opened():
        named = {(source.sdss_id, source.sdss4_apogee_id) for source in Source.select()}
    assert named == {(1, "A1"), (2, "A2"), (None, None)}


def test_a_writer_who_may_delete_no_result_still_deletes_a_spectrum_that_has_none(
    astra, become, prefix, tmp_path
):
    roles(astra, prefix)
    become(f"{prefix}_writer")
    good, copy = tmp_path / "a" / "apStar-dr17-X.fits", tmp_path / "apStar-dr17-X.fits"
    good.parent.mkdir()
    write_apstar(good, header={"OBJID": "X"})
    copy.touch()
    astra("ingest", "apstar", tmp_path)
    copy.write_bytes(good.read_bytes())

    code, _, err = astra("ingest", "apstar", copy)

    assert code == 0, err
    with opened():
        assert Spectrum.select().count() == 1


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE task_claim",
        "DROP VIEW distances",
        "ALTER TABLE source ADD COLUMN more int",
        "TRUNCATE astro_nn_dist",
        "CREATE TABLE mine (pk int)",
        "CREATE TABLE public.mine (pk int)",
        "DELETE FROM astro_nn_dist",
        "DELETE FROM task_run",
        "UPDATE schema_migration SET name = 'x'",
        "SELECT * FROM elsewhere.secret",
        "SELECT * FROM public.secret",
        "GRANT SELECT ON source TO public",
        "CREATE ROLE more_of_us",
    ],
)
def test_a_writer_can_do_nothing_else(astra, survey, become, prefix, statement):
    sql(survey, "CREATE SCHEMA elsewhere", "CREATE TABLE elsewhere.secret (pk int)")
    sql(survey, "CREATE TABLE public.secret (pk int)")
    roles(astra, prefix)

    with pytest.raises(psycopg2.Error, match=rf"{REFUSED}|no privileges were granted"):
        sql_strict(become(f"{prefix}_writer"), statement)


def sql_strict(url, statement):
    """As ``sql``; PostgreSQL only warns of a GRANT that grants nothing."""
    with contextlib.closing(psycopg2.connect(url, options="-c search_path=astra")) as connection:
        connection.cursor().execute(statement)
        if connection.notices:
            raise psycopg2.Error(connection.notices[-1])


# > What a reader does


def test_a_reader_reads_the_tables_the_view_and_the_status(astra, three_stars, become, prefix, toy_weights):
    roles(astra, prefix)
    assert astra("run", "astronn_dist", "--weights", toy_weights)[0] == 0
    become(f"{prefix}_reader")

    with opened():
        assert (Distance.select().count(), Source.select().count()) == (3, 3)
    assert astra("status")[0] == astra("status", "--check", "--max-pending", 0)[0] == 0
    by_night = ("--nights", 2, "--max-bad", 3, "--max-pull", 99, "--min-rate", 0, "--max-age", "1h")
    assert astra("status", "--metrics", "-")[0] == astra("status", "--check", *by_night)[0] == 0


def test_a_reader_need_not_name_the_schema(astra, three_stars, become, prefix):
    roles(astra, prefix)

    with contextlib.closing(psycopg2.connect(become(f"{prefix}_reader"))) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT count(*) FROM distances WHERE good AND primary_spectrum")
        assert cursor.fetchone() == (0,)
        cursor.execute("SHOW search_path")
        assert cursor.fetchone() == ('"$user", public, astra',)


def test_where_sql_finds_its_tables_is_left_as_it_was_set(astra, survey, prefix):
    with contextlib.closing(psycopg2.connect(survey)) as connection:
        connection.autocommit = True
        name = connection.info.dbname
        connection.cursor().execute(f'ALTER DATABASE "{name}" SET search_path = other')
    roles(astra, prefix)

    with contextlib.closing(psycopg2.connect(survey)) as connection:
        cursor = connection.cursor()
        cursor.execute("SHOW search_path")
        assert cursor.fetchone() == ("other",)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO spectrum DEFAULT VALUES",
        "UPDATE source SET k_mag = 1",
        "DELETE FROM task_claim",
        "INSERT INTO task_worker (task, host, pid, started) VALUES ('t', 'h', 1, now())",
        "SELECT nextval('spectrum_pk_seq')",
        "CREATE TABLE mine (pk int)",
        "TRUNCATE source",
    ],
)
def test_a_reader_writes_nothing(astra, become, prefix, statement):
    roles(astra, prefix)

    with pytest.raises(psycopg2.Error, match=REFUSED):
        sql(become(f"{prefix}_reader"), statement)


def test_a_reader_makes_the_catalogue(astra, three_stars, become, prefix, toy_weights, tmp_path):
    roles(astra, prefix)
    assert astra("run", "astronn_dist", "--weights", toy_weights)[0] == 0
    become(f"{prefix}_reader")

    code, out, err = astra("create", "astraAllStarAstroNNdist", "--output", tmp_path / "c.fits", "--mixed")

    assert code == 0, err
    assert "3 spectra of 3 stars" in out


def test_a_run_as_a_reader_ends_with_one_line(astra, three_stars, become, prefix, toy_weights):
    roles(astra, prefix)
    become(f"{prefix}_reader")

    code, _, err = astra("run", "astronn_dist", "--weights", toy_weights)

    assert code == 74
    (line,) = [line for line in err.splitlines() if line.startswith("astra: error: ")]
    assert "permission denied for table task_" in line
    assert "Traceback" not in err


def test_the_doctor_tells_a_writer_from_a_reader(
    astra, three_stars, become, prefix, toy_weights, monkeypatch
):
    monkeypatch.setenv("ASTRA_WEIGHTS", str(toy_weights))
    roles(astra, prefix)

    become(f"{prefix}_writer")
    assert astra("doctor")[0] == 0
    become(f"{prefix}_reader")
    code, out, _ = astra("doctor")

    assert code == 74
    (line,) = [line for line in out.splitlines() if line.startswith("fail")]
    assert "it lacks INSERT on source, spectrum, apogee_coadded_spectrum_in_apstar, apogee_combined" in line
    assert "USAGE on " in line
    assert "GRANT it the writer of `astra init --roles`" in line


def test_somebody_without_a_role_cannot_even_read(astra, survey, become, prefix):
    roles(astra, prefix)
    sql(survey, f'CREATE ROLE "{prefix}_nobody"')

    with pytest.raises(psycopg2.Error, match=REFUSED):
        sql(become(f"{prefix}_nobody"), "SELECT * FROM astra.source")
    code, _, err = astra("status")
    assert code == 78
    assert "may not use the schema astra: let its owner grant it a role" in err
    assert "run `astra init` first" not in astra("doctor")[1]


# > Setting up


def test_roles_can_be_set_up_again_and_after_the_tables(astra, survey, prefix):
    first, second = roles(astra, prefix), roles(astra, prefix)

    said = f"roles are ready; to grant one: GRANT {prefix}_writer TO …; or GRANT {prefix}_reader TO …;"
    assert first[0] == second[0] == 0
    assert first[1].splitlines()[-1] == second[1].splitlines()[-1] == said
    query = f"SELECT rolcanlogin, rolsuper, rolcreaterole FROM pg_roles WHERE rolname LIKE '{prefix}%'"
    assert sql(survey, query) == [(False, False, False)] * 2


def test_an_init_gives_no_rights_on_tables_that_are_no_results(astra, survey, prefix):
    roles(astra, prefix)
    sql(survey, "CREATE TABLE jobs (task_pk int)", f"REVOKE ALL ON jobs FROM {prefix}_writer")

    assert astra("init")[0] == 0

    assert sql(survey, f"SELECT has_table_privilege('{prefix}_writer', 'jobs', 'INSERT')") == [(False,)]


def test_an_init_that_may_not_set_all_rights_says_who_may(astra, postgres, prefix, monkeypatch):
    owner, results = f"{prefix}_owner", "task_pk int, spectrum_pk int, run_pk int, v_astra_major_minor int"
    with postgres.database() as dbname:
        admin = postgres.url(dbname)
        _let_own(admin, dbname, owner)
        monkeypatch.setenv("ASTRA_DATABASE_URL", admin.replace(f"{postgres.user}@", f"{owner}@"))
        assert roles(astra, prefix)[0] == 0
        sql(admin, f"CREATE TABLE astra.of_others ({results})")

        code, _, err = astra("init")

    assert (code, "let the owner of the tables run: GRANT SELECT, INSERT, UPDATE ON" in err) == (0, True), err


def test_what_later_migrations_make_is_readable_and_writable_at_once(astra, survey, become, prefix):
    roles(astra, prefix)
    sql(survey, "CREATE TABLE later (pk bigserial PRIMARY KEY, value int)")
    sql(survey, "CREATE VIEW later_view AS SELECT * FROM later")

    sql(become(f"{prefix}_writer"), "INSERT INTO later (value) VALUES (7)", "UPDATE later SET value = 8")
    reader = become(f"{prefix}_reader")

    assert sql(reader, "SELECT value FROM later_view") == [(8,)]
    with pytest.raises(psycopg2.Error, match=REFUSED):
        sql(reader, "UPDATE later SET value = 9")


def test_a_package_whose_task_cannot_be_loaded_does_not_keep_others_from_their_rights(
    astra, three_stars, become, prefix, toy_weights, tmp_path, monkeypatch
):
    guests.install(tmp_path / "guest", monkeypatch, guests.GOOD, "broken", "count_pixels")

    code, _, err = roles(astra, prefix)

    assert code == 78
    assert "task 'broken' cannot be loaded" in err
    become(f"{prefix}_writer")
    assert astra("run", "astronn_dist", "--weights", toy_weights)[0] == 0


@pytest.mark.parametrize("first", ["roles", "package"])
def test_a_writer_runs_the_task_of_another_package_and_a_reader_reads_its_results(
    astra, three_stars, survey, become, prefix, tmp_path, monkeypatch, first
):
    if first == "roles":
        roles(astra, prefix)
    guests.install(tmp_path / "guest", monkeypatch, guests.GOOD, "count_pixels", migrations=guests.MIGRATIONS)
    # Where the roles were there before, the rights come with the tables.
    assert (astra("init") if first == "roles" else roles(astra, prefix))[0] == 0

    writer = become(f"{prefix}_writer")
    code, out, err = astra("run", "count_pixels", "--json")
    assert (code, json.loads(out)["measured"]) == (0, 3), err
    assert astra("run", "count_pixels", "--overwrite")[0] == 0
    assert astra("status", "count_pixels")[0] == 0
    reader = become(f"{prefix}_reader")
    assert sql(reader, "SELECT count(*) FROM guest_result") == [(3,)]
    assert astra("status", "count_pixels")[0] == 0

    monkeypatch.setenv("ASTRA_DATABASE_URL", survey)
    assert roles(astra, prefix)[0] == 0
    for refused in (
        "DELETE FROM guest_result",
        "DELETE FROM schema_migration_guest",
        "ALTER TABLE guest_result ADD COLUMN x int",
    ):
        with pytest.raises(psycopg2.Error, match=REFUSED):
            sql(writer, refused)
    with pytest.raises(psycopg2.Error, match=REFUSED):
        sql(reader, "UPDATE guest_result SET pixels = 0")


def test_a_dry_run_prints_sql_that_does_what_the_command_does(astra, survey, become, prefix):
    code, printed, _ = roles(astra, prefix, "--dry-run")

    assert code == 0
    assert sql(survey, f"SELECT 1 FROM pg_roles WHERE rolname LIKE '{prefix}%'") == []
    sql(survey, printed)
    assert sql(become(f"{prefix}_reader"), "SELECT count(*) FROM distances") == [(0,)]
    assert "CREATE ROLE" not in roles(astra, prefix, "--dry-run")[1]


def test_an_owner_who_may_not_create_roles_is_told_the_sql_for_an_administrator(
    astra, postgres, prefix, monkeypatch
):
    owner = f"{prefix}_owner"
    with postgres.database() as dbname:
        admin = postgres.url(dbname)
        sql(admin, f'CREATE ROLE "{owner}" LOGIN', f'GRANT CREATE ON DATABASE "{dbname}" TO "{owner}"')
        monkeypatch.setenv("ASTRA_DATABASE_URL", admin.replace(f"{postgres.user}@", f"{owner}@"))

        code, _, err = roles(astra, prefix)

        (line,) = [line for line in err.splitlines() if line.startswith("astra: error: ")]
        assert (code, "Traceback" in err) == (74, False)
        assert line.startswith(f"astra: error: {owner} may not create roles; ask an administrator to run: ")
        sql(admin, *line.partition("to run: ")[2].rpartition("; then")[0].split("; "))
        assert roles(astra, prefix)[0] == 0


def test_somebody_else_than_the_owner_can_neither_upgrade_nor_grant(astra, survey, become, prefix):
    roles(astra, prefix)
    become(f"{prefix}_writer")

    code, _, err = roles(astra, prefix)

    assert code == 74
    assert "permission denied for schema astra" in err


def test_an_owner_of_tables_in_the_schema_of_another_is_told_who_may_grant(
    astra, postgres, prefix, monkeypatch
):
    owner = f"{prefix}_owner"
    with postgres.database() as dbname:
        admin = postgres.url(dbname)
        sql(admin, f'CREATE ROLE "{owner}" LOGIN CREATEROLE', "CREATE SCHEMA astra")
        sql(admin, f'GRANT ALL ON SCHEMA astra TO "{owner}"')
        monkeypatch.setenv("ASTRA_DATABASE_URL", admin.replace(f"{postgres.user}@", f"{owner}@"))

        code, _, err = roles(astra, prefix)

        assert code == 74
        assert f"{owner} may not grant USAGE on the schema astra to {prefix}_reader: `astra init" in err
        assert sql(admin, f"SELECT rolname FROM pg_roles WHERE rolname LIKE '{prefix}%'") == [(owner,)]


@pytest.mark.parametrize("wrong", ["pg_mine", "1st", "a-b", "", 'x"; DROP ROLE y; --', "x" * 60])
def test_a_prefix_that_makes_no_names_is_wrong_usage(astra, survey, wrong):
    code, _, err = roles(astra, wrong)

    assert code == 2
    assert f"--role-prefix {wrong}: give" in err


def test_sqlite_has_no_roles_and_no_file_is_made(astra, tmp_path, monkeypatch):
    monkeypatch.setenv("ASTRA_DATABASE_PATH", str(tmp_path / "my.db"))

    code, out, err = astra("init", "--roles")

    assert (code, out) == (2, "")
    assert "SQLite has no roles: who may use" in err
    assert not (tmp_path / "my.db").exists()


def test_a_dry_run_without_roles_is_wrong_usage(astra, survey):
    assert astra("init", "--dry-run")[0] == 2


def test_a_login_with_an_odd_name_can_own_the_tables(astra, postgres, prefix, monkeypatch):
    owner = f'{prefix} "the" owner'
    with postgres.database() as dbname:
        _let_own(postgres.url(dbname), dbname, owner)
        monkeypatch.delenv("ASTRA_DATABASE_URL", raising=False)
        config = {"dbname": dbname, "host": postgres.host, "port": postgres.port, "user": owner}
        monkeypatch.setenv("ASTRA_CONFIG", str(_config_file(config)))

        assert roles(astra, prefix)[0] == 0


def _let_own(admin, dbname, owner):
    """Make a login that may have a schema in a database, and make roles."""
    make = f"CREATE ROLE {quoted(owner)} LOGIN CREATEROLE"
    sql(admin, make, f'GRANT CREATE ON DATABASE "{dbname}" TO {quoted(owner)}')


def _config_file(database):
    from astra.config import config_file

    config_file().write_text(json.dumps({"database": database}))
    return config_file()
