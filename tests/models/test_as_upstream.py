"""What upstream's own tests ask of fields, flags, models and queries, asked of ours."""

from types import SimpleNamespace

import peewee
import pytest
from builders import a_result, a_source, a_spectrum
from peewee import fn

from astra import __version__, fields, generate_queries_for_task
from astra.database.connection import is_postgresql, now
from astra.glossary import Glossary
from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist, Source, Spectrum, TaskRun
from astra.models.pipeline import PipelineOutputMixin
from astra.utils import version_integer_to_string, version_string_to_integer

# > Fields and flags


def test_a_field_of_any_peewee_model_takes_its_help_text_from_the_glossary_unless_it_has_its_own():
    class Toy(peewee.Model):
        ra = fields.FloatField()
        snr = fields.SmallIntegerField()
        release = fields.TextField()
        nowhere_in_the_glossary = fields.FloatField()
        dec = fields.FloatField(help_text="My own")

    assert (Toy.ra.help_text, Toy.snr.help_text) == (Glossary.ra, Glossary.snr)
    assert Toy.release.help_text == Glossary.release
    assert (Toy.nowhere_in_the_glossary.help_text, Toy.dec.help_text) == (None, "My own")


def test_flags_count_on_from_the_last_bit_and_start_with_none_set():
    class Toy(peewee.Model):
        flags = fields.BitField()
        flag_named = flags.flag(value=8, help_text="The fourth bit")
        flag_next = flags.flag()

    row = Toy()

    assert (Toy.flags.default, row.flags, row.flag_named) == (0, 0, False)
    assert (Toy.flag_named._value, Toy.flag_next._value) == (8, 16)
    assert Toy.flag_named.help_text == "The fourth bit"


def test_a_flag_is_stored_read_and_taken_back(db):
    spectrum = a_spectrum(a_source())
    row = AstroNNdist.from_spectrum(spectrum, dist=5.0)
    assert not row.flag_bad
    assert not row.flag_warn

    row.flag_fakemag_unreliable = row.flag_missing_extinction = True
    row.save()
    stored = AstroNNdist.get(task_pk=row.task_pk)
    assert (stored.result_flags, stored.flag_bad, stored.flag_warn) == (5, True, True)

    stored.flag_fakemag_unreliable = False
    stored.save()
    assert not AstroNNdist.get(task_pk=row.task_pk).flag_bad

    stored.delete_instance()
    assert AstroNNdist.select().count() == 0


# > Rows of results


class Dummy(PipelineOutputMixin):
    """A model of results, by upstream's newer name of the base."""

    number = fields.IntegerField(null=True)


@pytest.fixture
def in_memory():
    models = [Source, Spectrum, TaskRun, Dummy]
    opened = peewee.SqliteDatabase(":memory:")
    with opened.bind_ctx(models, bind_refs=False, bind_backrefs=False):
        for model in models:
            model.create_table()
        yield opened


def test_a_row_needs_no_more_of_a_spectrum_than_its_keys(in_memory):
    spectrum = SimpleNamespace(spectrum_pk=Spectrum.create().pk, source_pk=Source.create().pk)

    row = Dummy.from_spectrum(spectrum, tag="mine")
    row.save()

    stored = Dummy.get_by_id(row.task_pk)
    assert (stored.spectrum_pk, stored.source_pk, stored.tag) == (1, 1, "mine")
    for name in ("spectrum_pk", "source_pk"):
        with pytest.raises(ValueError, match=name):
            Dummy.from_spectrum(spectrum, **{name: 99_999})


def test_one_result_for_a_spectrum_and_a_minor_version(in_memory):
    Source.create()
    Spectrum.create()
    major, minor, patch = map(int, __version__.split("."))
    Dummy.create(source_pk=1, spectrum_pk=1)

    for keys in ({"source_pk": 1, "spectrum_pk": 1}, {"spectrum_pk": 1}):
        with pytest.raises(peewee.IntegrityError):
            Dummy.create(**keys)
    for version in (f"{major}.{minor + 1}.{patch}", f"{major + 1}.{minor}.{patch}"):
        Dummy.create(spectrum_pk=1, v_astra=version_string_to_integer(version))
    with pytest.raises(peewee.IntegrityError):
        Dummy.create(spectrum_pk=1, v_astra=version_string_to_integer(f"{major}.{minor}.{patch + 1}"))

    assert Dummy.select().count() == 3


def test_rows_that_conflict_are_updated_as_upstream_writes_them(db):
    """Its statement: all but the key and ``created`` comes from the new rows, and it gives back the keys."""
    Dummy.create_table()
    spectra = [a_spectrum(a_source()) for _ in range(2)]
    kept = {Dummy.task_pk, Dummy.created, Dummy.v_astra_major_minor}

    def write(rows):
        query = Dummy.insert_many(row.__data__ for row in rows)
        query = query.returning(Dummy.task_pk, Dummy.spectrum_pk, Dummy.v_astra, Dummy.created)
        return list(
            query.on_conflict(
                conflict_target=[Dummy.spectrum_pk, Dummy.v_astra_major_minor],
                preserve=list(set(Dummy._meta.fields.values()) - kept),
            )
            .tuples()
            .execute()
        )

    (first,) = write([Dummy.from_spectrum(spectra[0], number=1)])
    again, other = sorted(write([Dummy.from_spectrum(each, number=2) for each in spectra]))

    assert again == first
    assert other[1] == spectra[1].spectrum_pk
    assert [row.number for row in Dummy.select()] == [2, 2]


def test_a_row_is_replaced_on_sqlite_and_postgresql_refuses_what_it_cannot_do(db):
    spectrum = a_spectrum(a_source())
    before = a_result(spectrum)
    keys = {"spectrum_pk": spectrum.spectrum_pk, "source_pk": spectrum.source_pk}

    for number, query in enumerate(
        (
            AstroNNdist.replace(**keys, dist=0.0),
            AstroNNdist.replace_many([{**keys, "dist": 1.0}]),
            AstroNNdist.insert(**keys, dist=2.0).on_conflict_replace(),
        )
    ):
        if is_postgresql(db):
            with pytest.raises(ValueError, match='Postgresql are "ignore" or "update"'):
                query.execute()
            continue
        query.execute()
        (row,) = AstroNNdist.select()
        assert (row.dist, row.e_dist) == (number, pytest.approx(float("nan"), nan_ok=True))

    AstroNNdist.insert(**keys, dist=7.0).on_conflict_ignore().execute()
    assert AstroNNdist.get().dist == (before.dist if is_postgresql(db) else 2.0)


# > Queries


def test_spectra_are_grouped_in_plain_queries(db):
    star, other = a_source(), a_source()
    for source, telescope in ((star, "apo25m"), (star, "apo25m"), (star, "lco25m"), (other, "apo25m")):
        a_result(a_spectrum(source, telescope=telescope))
    spectra, results = ApogeeCoaddedSpectrumInApStar, AstroNNdist
    group = (spectra.source_pk, spectra.telescope)

    counted = spectra.select(*group, fn.COUNT(spectra.pk)).group_by(*group).order_by(*group)
    joined = (
        spectra.select(spectra.telescope, fn.COUNT(results.task_pk))
        .join(results, on=(results.spectrum_pk == spectra.spectrum_pk))
        .group_by(spectra.telescope)
        .having(fn.COUNT(results.task_pk) > 1)
    )
    plain = "SELECT source_pk, telescope, count(*) FROM apogee_coadded_spectrum_in_apstar GROUP BY 1, 2"

    expected = [(star.pk, "apo25m", 2), (star.pk, "lco25m", 1), (other.pk, "apo25m", 1)]
    assert list(counted.tuples()) == expected
    assert sorted(db.execute_sql(plain).fetchall()) == expected
    assert list(joined.tuples()) == [("apo25m", 3)]


def test_what_is_pending_is_what_has_no_row_or_was_modified_since(db):
    spectra = [a_spectrum(a_source()) for _ in range(3)]
    for spectrum in spectra[:2]:
        a_result(spectrum, inputs_read=now(db), source_read=now(db))

    def pending():
        (_, query), _ = generate_queries_for_task("astronn_dist")
        assert query.count() == len(list(query))
        return list(query)

    assert pending() == [spectra[2]]
    spectra[0].snr = 77.0
    spectra[0].save()
    assert pending() == [spectra[0], spectra[2]]


# > Versions


def test_the_version_of_the_package_is_that_of_its_rows(in_memory):
    number = version_string_to_integer(__version__)

    row = Dummy.create(spectrum_pk=Spectrum.create())

    assert (row.v_astra, version_integer_to_string(row.v_astra)) == (number, __version__)
    assert Dummy.get().v_astra_major_minor == number // 1000
