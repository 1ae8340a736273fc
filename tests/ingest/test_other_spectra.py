"""Spectra of a model of another package: registered with identity and source, repeated, changed."""

import numpy as np
import pytest
from builders import a_source, a_spectrum

from astra import register_spectra
from astra.errors import ConfigError, StorageError
from astra.fields import AutoField, BooleanField, FloatField, ForeignKeyField, StampField, TextField
from astra.models import BaseModel, Source, Spectrum


class GuestEchelle(BaseModel):
    """A spectrum of another kind, with a field of each type."""

    pk = AutoField()
    source = ForeignKeyField(Source, null=True, column_name="source_pk", help_text="Its source")
    spectrum_pk = ForeignKeyField(
        Spectrum, unique=True, lazy_load=False, column_name="spectrum_pk", help_text="Its identity"
    )
    product_id = TextField(unique=True, help_text="Its name")
    path = TextField(help_text="Its file")
    width = FloatField(help_text="Width of a line [Angstrom]")
    is_sky = BooleanField(default=False, help_text="Whether it is of the sky")
    created = StampField(help_text="When it was made")
    modified = StampField(help_text="When it was changed")


@pytest.fixture
def register(db):
    """Registers rows; gives the numbers of new, updated and unchanged spectra."""
    GuestEchelle.create_table()

    def call(*rows):
        counts = register_spectra(GuestEchelle, iter(rows))
        assert counts.seen == counts.spectra_new + counts.spectra_updated + counts.spectra_unchanged
        return counts.spectra_new, counts.spectra_updated, counts.spectra_unchanged

    return call


def _row(name="a", **values):
    return {"product_id": name, "path": f"/{name}.fits", "width": 0.5, "source": {"sdss_id": 7}} | values


def test_each_has_an_identity_of_its_own_and_those_of_one_star_its_source(register):
    assert register(_row("a"), _row("b"), _row("c", source={"sdss_id": 8})) == (3, 0, 0)

    rows = list(GuestEchelle.select().order_by(GuestEchelle.product_id))
    assert len({row.spectrum_pk for row in rows}) == Spectrum.select().count() == 3
    assert [row.source.sdss_id for row in rows] == [7, 7, 8]
    assert [(row.width, row.is_sky) for row in rows] == [(0.5, False)] * 3
    assert Spectrum.get_by_id(rows[0].spectrum_pk).resolve() == rows[0]


@pytest.mark.parametrize("width", [0.5, np.float32(0.1), np.nan, None])
def test_to_repeat_it_changes_nothing(register, width):
    register(_row(width=width))
    before = GuestEchelle.get()

    assert register(_row(width=width)) == (0, 0, 1)

    assert GuestEchelle.get().modified == before.modified
    assert Spectrum.select().count() == 1


def test_what_changed_is_modified_and_keeps_its_identity(register):
    register(_row("a"), _row("b"))
    a, b = GuestEchelle.select().order_by(GuestEchelle.product_id)

    assert register(_row("a", width=0.7, is_sky=True), _row("b")) == (0, 1, 1)

    changed, same = GuestEchelle.select().order_by(GuestEchelle.product_id)
    assert (changed.width, changed.is_sky) == (0.7, True)
    assert changed.modified > a.modified
    assert (changed.spectrum_pk, changed.created) == (a.spectrum_pk, a.created)
    assert same.modified == b.modified


def test_a_row_may_leave_out_what_is_known_or_has_a_default(register):
    register(_row("a", is_sky=True), _row("b"))

    assert register({"product_id": "a", "width": 0.5}) == (0, 0, 1)

    assert [row.is_sky for row in GuestEchelle.select().order_by(GuestEchelle.product_id)] == [True, False]
    assert GuestEchelle.get(GuestEchelle.product_id == "a").source.sdss_id == 7


def test_of_two_rows_of_one_spectrum_the_last_counts(register):
    assert register(_row(width=0.1), _row(width=0.2)) == (1, 0, 1)

    assert GuestEchelle.get().width == 0.2


def test_a_star_is_found_by_its_apogee_id_also_by_one_that_only_a_spectrum_has(register):
    named, other = a_source(sdss4_apogee_id="2M1", sdss_id=None), a_source(sdss4_apogee_id="2M2")
    a_spectrum(other, obj="2M3")

    register(*(_row(name, source={"sdss4_apogee_id": name}) for name in ("2M1", "2M3")))

    rows = GuestEchelle.select().order_by(GuestEchelle.product_id)
    assert [row.source.pk for row in rows] == [named.pk, other.pk]
    assert Source.select().count() == 2


def test_a_star_gets_the_values_that_it_lacks_and_fillers_are_none(register):
    known = a_source(sdss_id=7, ra=None, origins='{"*":"catalog"}', k_mag=9.0)

    register(_row(source={"sdss_id": 7, "ra": 10.0, "k_mag": 12.0, "h_mag": -9999.0}))

    source = Source.get_by_id(known.pk)
    assert (source.ra, source.k_mag, np.isnan(source.h_mag)) == (10.0, 9.0, True)


@pytest.mark.parametrize("star", [None, {}, {"sdss_id": -999}, {"sdss4_apogee_id": ""}])
def test_a_star_without_identifier_is_no_source(register, star):
    assert register(_row(source=star)) == (1, 0, 0)
    assert register(_row(source=star)) == (0, 0, 1)

    assert GuestEchelle.get().source is None
    assert not Source.select().exists()


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (_row(widht=1.0), "GuestEchelle has no 'widht'"),
        (_row(source={"sdss_id": 7, "kmag": 1.0}), "Source has no 'kmag'"),
        ({"path": "/a.fits"}, "a row of GuestEchelle has no product_id, which identifies it"),
    ],
)
def test_a_misspelt_name_is_refused(register, row, says):
    with pytest.raises(TypeError, match=says):
        register(row)

    assert not GuestEchelle.select().exists()


def test_what_the_database_refuses_leaves_nothing_of_its_batch(register):
    with pytest.raises(StorageError, match="refused to write"):
        register(_row("a"), _row("b", path=None))

    assert not GuestEchelle.select().exists()
    assert not Source.select().exists()


def test_without_its_table_it_says_what_to_do(db):
    with pytest.raises(ConfigError, match="the table guest_echelle is missing: run `astra init`"):
        register_spectra(GuestEchelle, [])
