"""Which spectra a run takes: --where, --stars-from, --changed-since, alone and with all else that chooses."""

import io
import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from astropy.table import Table
from builders import a_combined_spectrum, a_result, a_source, a_spectrum, write_apstar
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from astra.catalogue.columns import columns
from astra.catalogue.query import Rows
from astra.database.connection import now
from astra.database.sql import all_rows, insert_columns
from astra.errors import UsageError
from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist, Source, TaskRun
from astra.models.filters import Filter
from astra.pipelines.astronn_dist import astronn_dist
from astra.running.arguments import Retry, SharedArguments
from astra.running.request import Request, build_request, read_targets
from astra.running.star_list import read_stars
from astra.tasks.conditions import Condition
from astra.tasks.contract import Fill
from astra.tasks.pending import count_pending, pending_query, stale_query, stream_keys, unfilled_query

LONG_AGO = datetime(2020, 1, 1)


def asked(*words: str, page: str | None = None, fill: Fill | None = None, **shared) -> Request:
    """The request that ``astra run astronn_dist WORDS`` makes."""
    arguments = SharedArguments(**shared)
    targets = read_targets(astronn_dist, words, arguments.before, page)
    return build_request(astronn_dist, targets, arguments, fill=fill)


def taken(*words: str, **shared) -> set[int]:
    """What such a run takes: pending spectra, and rows to derive again; it is also what a dry run counts."""
    selection = asked(*words, **shared).selection
    streams = (stream_keys(find, selection, 2) for find in (pending_query, stale_query))
    found = [pk for stream in streams for keys in stream for pk in keys]
    assert count_pending(selection) == len(found) == len(set(found))
    return set(found)


def done(spectrum, **values):
    """A row as a run would have written it."""
    row = a_result(spectrum, inputs_read=LONG_AGO, source_read=LONG_AGO, **values)
    astronn_dist.rederivation.apply([row], [spectrum.source])
    row.spectrum_modified = type(spectrum).get_by_id(spectrum.pk).modified
    row.source_modified = Source.get_by_id(spectrum.source_pk).modified
    row.save()


@pytest.fixture
def faint(db):
    return a_spectrum(a_source(k_mag=13.0), snr=30.0).spectrum_pk


@pytest.fixture
def bright(db):
    return a_spectrum(a_source(k_mag=8.0), snr=300.0, release="dr16").spectrum_pk


# > Conditions


def test_a_condition_is_on_spectra_and_their_stars(faint, bright):
    assert taken(where="release = 'dr17' and snr < 50") == taken(where="source_k_mag > 12") == {faint}
    assert taken(where="spectrum_pk IN (1, 2) and not (source_k_mag > 12)") == {bright}


def test_a_whole_number_is_not_made_of_the_fraction_that_it_is_compared_with(db):
    two, three = (a_spectrum(a_source(), n_visits=number).spectrum_pk for number in (2, 3))

    assert taken(where="n_visits > 2.5") == {three}
    assert taken(where="n_visits < 2.5") == {two}
    assert taken(where="n_visits / 2 >= 1.5") == taken(where="abs(2 - n_visits) > 0") == {three}


def test_a_column_that_one_model_lacks_is_null_there(db):
    coadd, combined = a_spectrum(a_source()).spectrum_pk, a_combined_spectrum(a_source()).spectrum_pk

    assert taken(where="field = 'M67'") == taken(where="field IS NOT NULL") == {coadd}
    assert taken(where="field IS NULL") == taken(where="filetype = 'mwmStar'") == {combined}
    assert taken(where="field <> 'M67' or field LIKE '%7' or commissioning") == {coadd}
    assert taken(where="prefix < field or n_good_visits IS NULL") == {coadd, combined}


def test_a_spectrum_without_a_star_does_not_meet_a_condition_on_it(db):
    alone = a_spectrum(None).spectrum_pk

    assert taken(where="source_ebv < 9") == set()
    assert taken(where="source_ebv IS NULL") == {alone}


def test_rows_that_are_replaced_are_chosen_by_their_results(db):
    near, far = (a_spectrum(a_source(), snr=snr) for snr in (40.0, 60.0))
    done(near, L_fakemag=2000.0)
    done(far, L_fakemag=2.0)
    failed = a_spectrum(a_source())
    done(failed, flag_no_result=True, no_result_reason="truncated: x")
    a_spectrum(a_source())  # no row: dist is NULL

    assert taken(where="dist > 5000", overwrite=True) == {far.spectrum_pk}
    assert taken(where="not flag_bad and snr < 50", overwrite=True) == {near.spectrum_pk}
    assert taken(where="no_result_reason LIKE 'trunc%'", retry=Retry.NO_RESULT) == {failed.spectrum_pk}


@pytest.mark.parametrize("name", astronn_dist.fills)
def test_rows_that_are_filled_are_chosen_by_their_results_as_well(db, name):
    for snr in (20.0, 80.0):
        done(a_spectrum(a_source(), snr=snr))
    AstroNNdist.update(dist_lo=None, modified=LONG_AGO).execute()
    fill = astronn_dist.fills[name]

    request = asked(
        where="snr > 50 and dist > 1 and source_k_mag < 20", changed_since="2020-01-01", fill=fill
    )

    (chosen, *_) = (unfilled_query(fill, each) for each in request.selection.of_each_model())
    last = AstroNNdist.select(AstroNNdist.spectrum_pk).order_by(AstroNNdist.task_pk.desc()).limit(1)
    assert list(chosen.tuples()) == list(last.tuples())


def test_a_stale_row_is_chosen_by_a_condition_as_well(db):
    spectra = [a_spectrum(a_source(), snr=snr) for snr in (20.0, 80.0)]
    for spectrum in spectra:
        done(spectrum)
        spectrum.source.k_mag = 7.0
        spectrum.source.save()

    assert taken(where="snr > 50") == {spectra[1].spectrum_pk}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("sn > 5", "--where: at character 1: there is no column sn; did you mean snr"),
        ("snr > 'x'", "--where: at character 7: snr is a number, and 'x' is text"),
        ("snr >", "--where: the condition ends too early"),
        ("created > '0001-01-01T00:00+05:00'", "--where: at character 11: not a moment"),
        ("dist > 5000", "dist is a column of the results, .* give --overwrite or --retry with it"),
        ("k_mag < 12", "k_mag is a column of the results, .* did you mean source_k_mag"),
    ],
)
def test_a_wrong_condition_is_wrong_usage(db, text, error):
    with pytest.raises(UsageError, match=error):
        asked(where=text)


def test_a_condition_means_the_same_as_in_a_catalogue(db):
    """Each column that both have is the same one, whichever table it comes from."""
    for number in range(6):
        star = a_source(k_mag=8.0 + number, ph_qual="AAB"[number % 3] * 3, healpix=number, l=10.0 * number)
        spectrum = a_spectrum(star, snr=20.0 * number, telescope=("apo25m", "lco25m")[number % 2], healpix=99)
        done(spectrum, L_fakemag=10.0 + number)
    known = columns(astronn_dist)
    of_run = {column.name for column in Condition(astronn_dist, "snr > 0", on_rows=True).columns}
    shared = [column for column in known if column.name in of_run]
    assert len(shared) > 80
    for column in shared:
        values = {row[0] for row in all_rows(db, Rows(db, astronn_dist, (column,), None).select())} - {None}
        value = sorted(values)[len(values) // 2] if values else None
        text = f"{column.name} IS NULL"
        if value is not None:
            said = f"'{value}'" if isinstance(value, (str, datetime)) else value
            text = f"{column.name} >= {said}"
        if column.kind.value == "bool":
            text = f"NOT {column.name}"
        chosen = Rows(db, astronn_dist, known, Filter(text, known))
        place = [each.key for each in known].index("spectrum_pk")
        expected = {row[place] for row in all_rows(db, chosen.select())}
        assert taken(where=text, overwrite=True) == expected, text


# > Lists of stars


def test_the_stars_of_a_list_are_taken_and_those_not_there_are_counted(db, tmp_path, caplog):
    first, second, third = (a_spectrum(a_source()) for _ in range(3))
    lines = [
        "# mine",
        "",
        str(first.source.sdss_id),
        f" {second.source.sdss4_apogee_id}  # and why",
        "2M1",
        "7",
    ]
    (tmp_path / "stars.txt").write_bytes("\ufeff".encode() + "\r\n".join(lines).encode())

    assert taken(stars_from=tmp_path / "stars.txt") == {first.spectrum_pk, second.spectrum_pk}
    assert "2 of 4 stars are not in the database (2M1, 7); the others are taken" in caplog.text
    named = taken(str(third.source.sdss_id), stars_from=tmp_path / "stars.txt")
    assert named == {each.spectrum_pk for each in (first, second, third)}


@pytest.mark.parametrize("ending", ["csv", "ecsv", "fits", "vot", "parquet"])
def test_a_table_of_stars_is_read_in_every_format(db, tmp_path, ending):
    """A star is found by either of its names: sources from apStar files alone have no sdss_id."""
    known, other, _ = (a_spectrum(a_source(sdss_id=None)) for _ in range(3))
    names = [known.source.sdss4_apogee_id, other.source.sdss4_apogee_id]
    path, how = tmp_path / f"stars.{ending}", {"format": "votable"} if ending == "vot" else {}
    Table({"SDSS_ID": [4711, 4712], "APOGEE_ID": names, "TEFF": [4000.0, 5000.0]}).write(path, **how)

    assert taken(stars_from=path) == {known.spectrum_pk, other.spectrum_pk}


def test_a_column_alone_is_a_table_with_one_column(db, tmp_path):
    spectrum = a_spectrum(a_source())
    (tmp_path / "stars.csv").write_text(f"sdss_id\n{spectrum.source.sdss_id}\n")

    assert taken(stars_from=tmp_path / "stars.csv") == {spectrum.spectrum_pk}


def test_a_list_can_come_from_another_program(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"42\n2M00000000+0000000\n42\n")))

    assert read_stars(Path("-")) == [("42",), ("2M00000000+0000000",)]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("42\nfoo\n", "line 2 is not a star: 'foo'"),
        ("# nothing\n\n", "it names no star"),
        ("2M1\n", "1 of 1 stars are not in the database .2M1.; ingest their spectra first"),
        ("teff,logg\n5000,4\n", "neither a list of stars nor a table with a column sdss_id or apogee_id"),
        (None, "No such file or directory"),
    ],
)
def test_a_file_that_names_no_known_star_is_wrong_usage(db, tmp_path, content, error):
    path = tmp_path / "stars.csv"
    if content is not None:
        path.write_text(content)

    with pytest.raises(UsageError, match=error):
        asked(stars_from=path)


def test_more_stars_than_a_query_has_room_for_are_taken(db, tmp_path):
    spectrum = a_spectrum(a_source(sdss_id=70_000))
    (tmp_path / "stars.txt").write_text("\n".join(map(str, range(100_000))))
    insert_columns(db, "source", {"sdss_id": list(range(40_000))}, "")

    assert taken(stars_from=tmp_path / "stars.txt") == {spectrum.spectrum_pk}


# > Changes


def test_only_what_changed_since_a_time_is_taken(db):
    moment = datetime(2026, 3, 1)
    old, new, of_new_star = (a_spectrum(a_source(modified=LONG_AGO), modified=LONG_AGO) for _ in range(3))
    ApogeeCoaddedSpectrumInApStar.update(modified=moment).where(
        ApogeeCoaddedSpectrumInApStar.pk == new.pk
    ).execute()
    Source.update(modified=moment).where(Source.pk == of_new_star.source_pk).execute()
    chosen = {new.spectrum_pk, of_new_star.spectrum_pk}

    assert taken(changed_since="2026-03-01") == taken(changed_since="2026-03-01T01:00:00+01:00") == chosen
    assert taken(changed_since="2026-03-01T00:00:00.000001") == set()
    assert taken() == chosen | {old.spectrum_pk}
    for spectrum in (old, new, of_new_star):
        done(spectrum)
    assert taken(changed_since="2026-03-01", overwrite=True) == chosen
    assert taken(changed_since="2026-03-01") == set()


def test_a_time_can_be_so_many_hours_or_days_ago(db):
    hours = {"24h": 24, "7d": 168}
    ago = {text: now(db) - asked(changed_since=text).selection.changed_since for text in hours}

    assert all(abs(ago[text] - timedelta(hours=hours[text])) < timedelta(minutes=5) for text in hours)


@pytest.mark.parametrize("text", ["yesterday", "24", "7w", "999999d", "0001-01-01T00:00+05:00"])
def test_a_time_that_cannot_be_read_is_wrong_usage(db, text):
    with pytest.raises(UsageError, match=re.escape(f"--changed-since {text}: ")):
        asked(changed_since=text)


# > With all else


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=12)
@given(st.data())
def test_whatever_chooses_together_takes_what_each_takes_alone(db, tmp_path, data):
    with db.atomic() as transaction:
        stars = [a_source(modified=LONG_AGO) for _ in range(3)]
        for number in range(6):
            make = data.draw(st.sampled_from([a_spectrum, a_combined_spectrum]))
            spectrum = make(stars[number % 3], snr=float(10 * number), modified=datetime(2020 + number, 1, 1))
            if data.draw(st.booleans()):
                done(spectrum, flag_no_result=data.draw(st.booleans()))
        path = tmp_path / "stars.txt"
        path.write_text(f"{stars[0].sdss_id}\n{stars[1].sdss4_apogee_id}\n")
        narrowing = {"where": "snr > 15", "stars_from": path, "changed_since": "2022-01-01", "page": "1/2"}
        chosen = {name: value for name, value in narrowing.items() if data.draw(st.booleans())}
        mode = data.draw(st.sampled_from([{}, {"overwrite": True}, {"retry": Retry.NO_RESULT}]))

        expected = taken(**mode)
        for name, value in chosen.items():
            expected &= taken(**mode, **{name: value})
        assert taken(**mode, **chosen) == expected
        transaction.rollback()


@pytest.mark.parametrize(
    "chosen", [{"where": "snr > 0"}, {"changed_since": "2020-01-01"}, {"stars_from": "stars.txt"}]
)
def test_a_part_that_is_made_anew_does_not_count_as_all(db, tmp_path, chosen, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("stars.txt").write_text(str(a_spectrum(a_source()).source.sdss_id))
    if "stars_from" in chosen:
        chosen = {"stars_from": Path("stars.txt")}

    assert not asked(overwrite=True, **chosen).replaces_all
    assert asked(overwrite=True).replaces_all


def test_how_to_go_on_is_the_same_choice_at_the_same_times(db, tmp_path):
    path = tmp_path / "my stars.txt"
    path.write_text(str(a_spectrum(a_source()).source.sdss_id))
    request = asked(
        where="release = 'dr17'",
        stars_from=path,
        changed_since="2026-03-01",
        overwrite=True,
        before="2026-04-01",
    )

    assert request.how_to_go_on == (
        """run again with --where 'release = '"'"'dr17'"'"'' """
        f"--stars-from '{path}' --changed-since 2026-03-01T00:00:00.000000 "
        "--before 2026-04-01T00:00:00.000000 to go on"
    )
    assert asked().how_to_go_on == "run again to go on"


def test_a_run_takes_what_was_chosen_alone_and_keeps_the_choice_on_record(db, astra, toy_weights, tmp_path):
    file = write_apstar(tmp_path / "apStar-dr17-a.fits")
    chosen, other = (a_spectrum(a_source(), file, snr=snr) for snr in (70.0, 10.0))
    path = tmp_path / "stars.txt"
    path.write_text(f"{chosen.source.sdss_id}\n{other.source.sdss_id}\n")
    words = ["--where", "snr > 50", "--stars-from", path, "--changed-since", "7d", "--weights", toy_weights]

    code, _, _ = astra("run", "astronn_dist", "--workers", "1", *words)

    assert code == 0
    assert [row.spectrum_pk_id for row in AstroNNdist.select()] == [chosen.spectrum_pk]
    (run,) = TaskRun.select()
    assert '"where": "snr > 50"' in run.arguments
    assert f'"stars_from": "{path}"' in run.arguments
    assert '"changed_since": "7d"' in run.arguments
    _, said, why = astra("run", "astronn_dist", *words)
    assert "nothing is pending for astronn_dist" in said
    assert "that is, of what was chosen; --overwrite makes its rows anew" in why
