"""Spectra of a model of another package: registered with identity and source, repeated, changed."""

from datetime import date, datetime, time
from decimal import Decimal

import numpy as np
import peewee
import pytest
from builders import a_source, a_spectrum

from astra import register_spectra
from astra.errors import ConfigError, StorageError, UsageError
from astra.fields import (
    AutoField,
    BooleanField,
    FloatField,
    ForeignKeyField,
    IntegerField,
    StampField,
    TextField,
)
from astra.ingest import other_spectra
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
    n_lines = IntegerField(null=True, help_text="Number of lines")
    night = peewee.DateField(null=True)
    is_sky = BooleanField(default=False, help_text="Whether it is of the sky")
    created = StampField(help_text="When it was made")
    modified = StampField(help_text="When it was changed")


class GuestPlain(BaseModel):
    """A spectrum without a file, with fields of plain peewee."""

    source = peewee.ForeignKeyField(Source, null=True, lazy_load=False, column_name="source_pk")
    spectrum_pk = peewee.ForeignKeyField(Spectrum, unique=True, lazy_load=False, column_name="spectrum_pk")
    night = peewee.DateField(unique=True)
    begun = peewee.DateTimeField(null=True)
    at = peewee.TimeField(null=True)
    step = peewee.DecimalField(null=True)
    width = peewee.DoubleField(null=True)
    pixels = peewee.BlobField(null=True)
    name = peewee.CharField(null=True)
    arm = peewee.FixedCharField(null=True, max_length=4)
    seen = peewee.TimestampField(null=True, utc=True)
    created = StampField()
    modified = StampField()


PLAIN = {
    "night": date(2026, 1, 2),
    "begun": datetime(2026, 1, 2, 3, 4, 5, 600),
    "at": time(3, 4, 5),
    "step": Decimal("0.25"),
    "width": 0.1,
    "pixels": b'\x00\\"{,}\xff',
    "name": "x",
    "arm": "blue",
    "seen": datetime(2026, 1, 2, 3, 4, 5),
}


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


def test_of_spectra_that_disagree_about_their_star_the_first_counts_however_often_they_come(
    register, monkeypatch
):
    monkeypatch.setattr(other_spectra, "BATCH", 1)
    first = {"sdss_id": 7, "ra": 10.0, "gaia_release": "dr2"}
    second = {"sdss_id": 7, "ra": 10.00001, "gaia_release": "dr3", "ebv": 0.1, "ebv_flags": 4}
    rows = _row("a", source=first), _row("b", source=second)
    register(*rows)
    before = Source.get()

    register(*rows)
    register(*reversed(rows))

    after = Source.get()
    assert (after.ra, after.gaia_release, after.ebv, after.ebv_flags) == (10.0, "dr2", 0.1, 4)
    assert after.modified == before.modified


def test_a_label_comes_with_the_value_that_it_describes(register):
    a_source(sdss_id=7, plx=None, gaia_release="dr2", ebv=0.2, ebv_flags=1)

    register(_row(source={"sdss_id": 7, "plx": 1.0, "gaia_release": "dr3", "ebv": 0.1, "ebv_flags": 4}))

    source = Source.get()
    assert (source.plx, source.gaia_release, source.ebv, source.ebv_flags) == (1.0, "dr3", 0.2, 1)


def test_of_several_spectra_with_one_name_the_oldest_says_which_star_it_is(register):
    old, new = a_source(sdss4_apogee_id="2M1", sdss_id=1), a_source(sdss4_apogee_id="2M2", sdss_id=2)
    for source in (old, new):
        a_spectrum(source, obj="2M3")

    register(_row(source={"sdss4_apogee_id": "2M3"}))

    assert GuestEchelle.get().source.pk == old.pk


def test_fields_of_plain_peewee_are_stored_as_they_are(db):
    GuestPlain.create_table()

    assert register_spectra(GuestPlain, [PLAIN], key="night").spectra_new == 1
    assert register_spectra(GuestPlain, [PLAIN], key="night").spectra_unchanged == 1

    row = GuestPlain.get()
    assert {name: getattr(row, name) for name in PLAIN} | {"pixels": bytes(row.pixels)} == PLAIN
    # Neither a file nor a query for the source is asked for.
    assert row.source is None


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


@pytest.mark.parametrize("name", ["pk", "spectrum_pk", "created", "modified"])
def test_what_the_database_chooses_is_refused(register, name):
    with pytest.raises(TypeError, match=f"the database chooses {name} of GuestEchelle: leave it out"):
        register(_row(**{name: 1}))


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (_row(source={"sdss_id": "abc"}), r"Source.sdss_id (BigIntegerField) cannot hold 'abc'"),
        (_row(source={"sdss_id": 2.5}), r"Source.sdss_id (BigIntegerField) cannot hold 2.5"),
        (_row(source={"sdss_id": 7, "ra": "east"}), r"Source.ra (FloatField) cannot hold 'east'"),
        (_row(source=5), "GuestEchelle.source takes a mapping of the fields of Source, not 5"),
        (_row(n_lines=2.5), "GuestEchelle.n_lines (IntegerField) cannot hold 2.5"),
        (_row(n_lines="many"), "GuestEchelle.n_lines (IntegerField) cannot hold 'many'"),
        (_row(n_lines=np.nan), "GuestEchelle.n_lines (IntegerField) cannot hold nan"),
        (_row(is_sky="False"), "GuestEchelle.is_sky (BooleanField) cannot hold 'False'"),
        (_row(width="wide"), "GuestEchelle.width (FloatField) cannot hold 'wide'"),
        (_row(night="today"), "GuestEchelle.night (DateField) cannot hold 'today'"),
        (_row("a\0b"), r"GuestEchelle.product_id (TextField) cannot hold 'a\x00b'"),
    ],
)
def test_a_value_that_a_field_cannot_hold_is_refused(register, row, says):
    with pytest.raises(UsageError) as caught:
        register(row)

    assert str(caught.value) == says


def test_integers_may_come_as_texts_or_numbers_of_any_kind(register):
    register(_row(n_lines="2", is_sky=np.True_, night="2026-01-02", source={"sdss_id": "7"}))

    assert register(
        _row(n_lines=np.float32(2), is_sky=1, night=date(2026, 1, 2), source={"sdss_id": 7.0})
    ) == (*(0, 0, 1),)


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("path", "GuestEchelle.path identifies no spectrum: its column has no unique index"),
        ("product", "GuestEchelle has no 'product'"),
    ],
)
def test_a_key_that_does_not_identify_a_spectrum_is_refused(register, key, says):
    with pytest.raises(TypeError, match=says):
        register_spectra(GuestEchelle, [_row()], key=key)


def test_what_the_database_refuses_leaves_nothing_of_its_batch(register):
    with pytest.raises(StorageError, match="refused to write"):
        register(_row("a"), _row("b", path=None))

    assert not GuestEchelle.select().exists()
    assert not Source.select().exists()


def test_without_its_table_it_says_what_to_do(db):
    with pytest.raises(ConfigError, match="the table guest_echelle is missing: run `astra init`"):
        register_spectra(GuestEchelle, [])
