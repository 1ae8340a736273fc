"""Results in the table of SDSS Astra, and the right to read it, by the SQL of the documentation."""

import peewee
import pytest
from builders import a_result, a_spectrum, on_postgresql
from upstream_database import DR17, OBJ, SCHEMA, SDSS5, STAR, AnUpstream

from astra.ingest.astra_database import product_of
from astra.models import AstroNNdist

from documents import blocks, statements

RESULTS = f'SELECT spectrum_pk, dist, "L_fakemag", tag FROM {SCHEMA}.astro_nn_dist ORDER BY spectrum_pk'
OURS = "astra-distances"


def _run(database, word, replaced, page="docs/upstream.md"):
    """Run the block of a page that has a word, with other names."""
    (block,) = (each for each in blocks(page, "sql") if word in each.text)
    text = block.text
    for old, new in replaced.items():
        text = text.replace(old, new)
    for statement in statements(text):
        database.execute_sql(statement)


def _write(database):
    _run(database, "CREATE TEMP TABLE", {"astra_distances": "astra"})


@pytest.fixture
def filled(upstream):
    """Three spectra there, of which two have a result here, under other keys."""
    return _fill(upstream)


def _fill(upstream):
    upstream.database.execute_sql(f"SELECT setval('{SCHEMA}.spectrum_pk_seq', 1000)")
    for facts in (DR17, SDSS5, DR17 | {"obj": "2M06154935-0100415"}):
        upstream.add(STAR, **facts)
    return [_measured(DR17, 1234.5), _measured(SDSS5, 2345.5)]


def _measured(facts, dist):
    """A result of the same spectrum here."""
    product = product_of({"obj": OBJ, "healpix": None, "field": "", **facts})
    return a_result(a_spectrum(None, **product.columns()), dist=dist)


@on_postgresql
def test_results_find_their_spectra_in_another_schema(db, upstream, filled):
    _write(db)

    assert db.execute_sql(RESULTS).fetchall() == [(1001, 1234.5, 20.0, OURS), (1002, 2345.5, 20.0, OURS)]
    of_stars = f"SELECT DISTINCT source_pk, v_astra FROM {SCHEMA}.astro_nn_dist"
    assert db.execute_sql(of_stars).fetchall() == [(1, filled[0].v_astra)]


@on_postgresql
def test_a_newer_result_replaces_what_was_written_so_and_nothing_else(db, upstream, filled):
    own = {"source_pk": 1, "spectrum_pk": 1002, "v_astra": filled[1].v_astra, "dist": 7.0}
    upstream.tables["astro_nn_dist"].insert(**own).execute()
    _write(db)
    AstroNNdist.update(dist=99.5, modified="2999-01-01").execute()

    _write(db)
    _write(db)

    assert db.execute_sql(RESULTS).fetchall() == [(1001, 99.5, 20.0, OURS), (1002, 7.0, None, "")]


@on_postgresql
def test_results_find_their_spectra_in_another_database(db, postgres, published):
    if not db.execute_sql("SELECT 1 FROM pg_available_extensions WHERE name = 'postgres_fdw'").fetchall():
        pytest.skip("this server has no postgres_fdw")
    ours = {"distances'": f"{db.execute_sql('SELECT current_database()').fetchone()[0]}'"}
    ours |= {"db.example.org": postgres.host, "5432": str(postgres.port), "'me'": f"'{postgres.user}'"}
    ours |= {"CREATE SCHEMA astra_distances": "CREATE SCHEMA astra", "INTO astra_distances": "INTO astra"}
    with postgres.database() as name:
        theirs = peewee.PostgresqlDatabase(postgres.url(name))
        _fill(AnUpstream(theirs, postgres.url(name), SCHEMA, published("astra_database")))
        _run(theirs, "IMPORT FOREIGN", ours)

        _write(theirs)

        assert theirs.execute_sql(RESULTS).fetchall() == [
            (1001, 1234.5, 20.0, OURS),
            (1002, 2345.5, 20.0, OURS),
        ]
        theirs.close()


@on_postgresql
def test_a_login_with_the_rights_of_the_page_reads_the_tables(db, upstream, postgres, prefix):
    upstream.add()
    login = f"{prefix}_reader"
    db.execute_sql(f"CREATE ROLE {login} LOGIN")
    upstream.address = upstream.address.replace(f"{postgres.user}@", f"{login}@")

    _run(db, "GRANT SELECT", {"TO me": f"TO {login}"}, page="docs/postgresql.md")

    assert upstream.ingest().counts.spectra_new == 1
    db.execute_sql(f"DROP OWNED BY {login}")
