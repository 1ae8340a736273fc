"""The catalogue of a task of another package, which knows nothing of catalogues."""

import csv
import json
from datetime import datetime

import guests
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from builders import a_run, a_source, a_spectrum, on_sqlite
from catalogue_values import from_array
from pyarrow import parquet

from astra.catalogue.columns import columns
from astra.catalogue.options import Format, Names
from astra.errors import ConfigError, UsageError
from astra.models import Spectrum
from astra.system.version import V_ASTRA
from astra.tasks.installed import find_task

GUEST = '''
from collections.abc import Iterable, Iterator
import peewee
from astra import task
from astra.models import FlaggedOutputModel, Source, Spectrum, fields
from astra.models.base import BaseModel

class Exposure(BaseModel):
    """A spectrum of another kind; it shares names with the source and with the results."""
    pk = fields.AutoField()
    source = fields.ForeignKeyField(Source, null=True, column_name="source_pk")
    spectrum_pk = fields.ForeignKeyField(Spectrum, unique=True, lazy_load=False, column_name="spectrum_pk")
    plate = fields.IntegerField(help_text="Plate")
    snr = fields.FloatField()
    healpix = fields.IntegerField(null=True)
    taken = fields.DateTimeField(null=True)
    cards = peewee.JSONField(null=True)
    path = fields.TextField(null=True)
    created = fields.StampField()
    modified = fields.StampField()

class TemplateSNR(FlaggedOutputModel):
    snr = fields.FloatField(help_text="Signal of the template [mag]")
    k_mag = fields.FloatField(help_text="Magnitude of the template [mag]")
    feh = fields.FloatField(help_text="Métallicité [dex]")
    width = fields.FloatField(help_text="Width of the lines [Angstrom]")
    seed = fields.IntegerField(null=True)
    dist = fields.FloatField()
    l = fields.FloatField(help_text="Luminosity [solLum]")
    name = peewee.CharField(null=True)
    is_hot = fields.BooleanField(null=True, default=False)
    good = fields.BooleanField(default=False, help_text="Well observed")
    image = peewee.BlobField(null=True)
    flag_weak = FlaggedOutputModel.result_flags.flag(2**0, "The signal is weak")
    flag_odd = FlaggedOutputModel.result_flags.flag(2**5)
    BAD = FlaggedOutputModel.BAD | 2**5
    WARN = 2**0

@task
def template_snr(spectra: Iterable[Exposure], *, template: str = "sun") -> Iterator[TemplateSNR]:
    for spectrum in spectra:
        yield TemplateSNR.from_spectrum(spectrum)
'''


@pytest.fixture
def task(db, tmp_path, monkeypatch):
    """A task with flags and spectra of its own, and the tables of both."""
    guests.install(tmp_path / "guest", monkeypatch, GUEST, "template_snr", "broken")
    task = find_task("template_snr")
    task.spectrum_models[0].create_table()
    task.output_model.create_table()
    return task


@pytest.fixture
def unflagged(db, tmp_path, monkeypatch):
    """A task of APOGEE spectra whose results have no flags, and a table for them."""
    guests.install(tmp_path / "guest", monkeypatch, guests.GOOD, "count_pixels")
    guests.make_table(db)
    return find_task("count_pixels")


@pytest.fixture
def measured(task):
    """Makes a result of an exposure of a star, or of none."""

    def call(source=None, exposure=None, **values):
        given = {"source": source, "spectrum_pk": Spectrum.create(), "plate": 7, "snr": 30.0}
        spectrum = task.spectrum_models[0].create(**given | (exposure or {}))
        row = task.output_model.from_spectrum(spectrum, **values)
        row.save()
        return row

    return call


@pytest.fixture
def read(create):
    """Writes the catalogue of the task as FITS, and reads it: its table and its first header."""

    def call(product="template_snr", **wanted):
        path = create(product=product, overwrite=True, **wanted).path
        return Table.read(path, hdu="Exposure"), fits.getheader(path)

    return call


# > Columns


def test_columns_are_those_of_the_source_the_spectrum_the_results_its_flags_and_its_provenance(task):
    names = [column.name for column in columns(task)]

    star = names[: names.index("source_pk")]
    assert star[:4] == ["sdss_id", "sdss4_apogee_id", "gaia_dr3_source_id", "healpix"]
    assert {"ra", "plx", "g_mag", "j_mag", "e_k_mag", "ebv", "ebv_origin"} < set(star)
    assert names[len(star) :] == [
        *("source_pk", "spectrum_pk", "plate", "spectrum_snr", "spectrum_healpix", "taken"),
        *("result_flags", "no_result_reason"),
        *("snr", "k_mag", "feh", "width", "seed", "dist", "l", "name", "is_hot", "good"),
        *("flag_weak", "flag_odd", "flag_no_result", "flag_warn", "flag_bad"),
        *("task_pk", "run_pk", "v_astra", "created", "modified", "tag"),
    ]
    added = [column.name for column in columns(task, mixed=True)][len(names) :]
    assert added == ["weights_name", "weights_sha256", "run_seed", "n_draws", "precision", "options"]


def test_a_name_of_the_results_is_theirs_and_that_of_another_table_says_whose_it_is(measured, read):
    star = a_source(k_mag=9.5, l=120.0, healpix=11)
    measured(star, {"snr": 30.0, "healpix": 12}, k_mag=1.5, l=0.25, snr=-2.0)

    (row,), _ = read()

    assert (row["k_mag"], row["source_k_mag"], row["l"], row["source_l"]) == (1.5, 9.5, 0.25, 120.0)
    assert (row["snr"], row["spectrum_snr"], row["healpix"], row["spectrum_healpix"]) == (-2.0, 30.0, 11, 12)


def test_the_text_of_a_field_is_the_description_and_only_what_is_known_has_a_ucd(task):
    known = {column.name: (column.unit, column.description, column.ucd) for column in columns(task)}

    assert known["k_mag"] == ("mag", "Magnitude of the template", "")
    assert known["source_k_mag"][1:] == (
        "2MASS Ks-band apparent magnitude of the source, absent where there is none",
        "phot.mag;em.IR.K",
    )
    assert known["feh"] == (None, "Métallicité [dex]", "")
    assert (known["l"][2], known["source_l"][2]) == ("", "pos.galactic.lon")
    assert known["dist"] == ("pc", "Heliocentric distance", "pos.distance;meta.main")
    assert known["name"] == (None, "", "")
    assert known["flag_odd"] == (None, "", "meta.code.qual")
    assert known["flag_bad"] == (None, "Discard: any of flag_odd, flag_no_result", "meta.code.qual")
    assert known["flag_warn"][1] == "Look twice: any of flag_weak"


def test_columns_that_no_format_can_hold_are_left_out_with_one_line(measured, read, caplog):
    measured(image=b"GIF", exposure={"cards": {"A": 1}})

    table, _ = read()

    assert not {"image", "cards", "path"} & set(table.colnames)
    assert [record.getMessage() for record in caplog.records] == [
        "task template_snr: no format can hold these columns, which are left out: cards, image"
    ]


# > Rows


def test_values_flags_and_absent_values_are_those_of_the_tables(measured, read):
    star = a_source(plx=np.nan)
    measured(star, {"taken": datetime(2026, 1, 2, 3, 4, 5)}, feh=-1.25, name="sun", is_hot=True, seed=3)
    measured(star, flag_weak=True)
    measured(None, flag_no_result=True, flag_odd=True, no_result_reason="broken")

    table, header = read()

    found = {name: from_array(table[name]) for name in table.colnames}
    assert found["sdss_id"] == [star.sdss_id, star.sdss_id, None]
    assert found["plx"] == [None, None, None]
    assert found["taken"] == ["2026-01-02T03:04:05.000000", None, None]
    assert found["feh"] == [-1.25, None, None]
    assert (found["name"], found["is_hot"]) == (["sun", None, None], [True, False, False])
    assert found["seed"] == [3, None, None]
    assert found["flag_weak"] == found["flag_warn"] == [False, True, False]
    assert found["flag_no_result"] == found["flag_odd"] == found["flag_bad"] == [False, False, True]
    assert found["no_result_reason"] == [None, None, "broken"]
    assert table["feh"].description == "Métallicité [dex]"


@on_sqlite
def test_a_truth_value_that_is_absent_is_neither_true_nor_false(measured, create):
    for is_hot in (True, False, None):
        measured(is_hot=is_hot)

    path = create(product="template_snr").path

    # Otherwise astropy reads it as false, with a warning.
    with fits.open(path, logical_as_bytes=True) as hdus:
        assert list(hdus["Exposure"].data["is_hot"]) == [b"T", b"F", b""]


@on_sqlite
def test_the_file_passes_fitsverify(measured, create, verified):
    measured(a_source(), name="größer", is_hot=None)

    assert verified(create(product="template_snr", mixed=True).path) == "0 warning(s) and 0 error(s)."


def test_the_header_counts_what_the_table_has(measured, read):
    measured(a_source(), flag_weak=True)
    measured(None, flag_odd=True)

    _, header = read()

    counts = {name: header[name] for name in header if name.startswith("N") and name != "NAXIS"}
    expected = {"NSTARS": 1, "NSPECTRA": 2, "NBAD": 1, "NWARN": 1, "NAMES": "astra"}
    assert counts == expected | {"NFLAG0": 1, "NFLAG5": 1, "NFLAG11": 0}
    assert header["PIPELINE"] == "template_snr"
    title = "astraAllStarTemplateSNR: results of template_snr, one row for each spectrum."
    assert "".join(header["COMMENT"]).startswith(title)


def test_of_each_spectrum_only_the_row_of_the_newest_minor_version_is_there(task, measured, read):
    first = measured(snr=1.0, v_astra=V_ASTRA + 5000)
    measured(snr=2.0)
    task.output_model.create(spectrum_pk=first.spectrum_pk, snr=3.0, v_astra=V_ASTRA)

    table, _ = read(mixed=True)

    assert list(table["snr"]) == [1.0, 2.0]


def test_a_condition_chooses_by_any_of_the_columns(measured, read):
    for snr, star in ((1.0, a_source(ra=10.0)), (2.0, a_source(ra=20.0)), (3.0, None)):
        measured(star, {"plate": int(snr)}, snr=snr, flag_weak=snr == 2.0)

    chosen = {
        "flag_weak or plate = 3": [2.0, 3.0],
        "not flag_warn and ra > 5": [1.0],
        "source_k_mag = 10 and SNR > spectrum_snr": [],
        "options is null and run_seed is null and created > '2000-01-01'": [1.0, 2.0, 3.0],
    }

    for condition, expected in chosen.items():
        table, header = read(condition=condition)
        assert (list(table["snr"]), header["FILTER"]) == (expected, condition)


@on_sqlite
@pytest.mark.parametrize("file_format", Format)
def test_no_rows_make_a_file_in_every_format(task, create, file_format):
    made = create("catalogue", product="template_snr", format=file_format)

    assert (made.table.summary.rows, made.bytes > 0) == (0, True)


_OF_ASTROPY = {Format.VOTABLE: "votable", Format.ECSV: "ascii.ecsv", Format.CSV: "ascii.csv"}
# What has only ASCII has escapes.
GREETED = dict.fromkeys((Format.FITS, Format.VOTABLE), r"gr\xf6\xdfer")


@pytest.mark.filterwarnings("ignore:The unit 'Angstrom' has been deprecated in the VOUnit standard")
@pytest.mark.parametrize("file_format", Format)
def test_every_format_holds_what_a_guest_may_have(measured, create, file_format):
    measured(a_source(), name="größer", feh=-1.0)
    measured(None, flag_odd=True)

    made = create("catalogue", product="template_snr", format=file_format, mixed=True)

    if file_format is Format.PARQUET:
        read = parquet.read_table(made.path).to_pydict()
    else:
        wanted = {"hdu": "Exposure"} if file_format is Format.FITS else {"format": _OF_ASTROPY[file_format]}
        table = Table.read(made.path, **wanted)
        read = {name: from_array(table[name]) for name in table.colnames}
    assert read["feh"] == [-1.0, None]
    assert read["spectrum_snr"] == [30.0, 30.0]
    assert [str(value) for value in read["flag_odd"]] == ["False", "True"]
    assert read["name"] == [GREETED.get(file_format, "größer"), None]


def test_in_csv_absent_values_are_empty(measured, create):
    measured(None, snr=1.5, seed=0, is_hot=None)

    path = create("catalogue.csv", product="template_snr", format=Format.CSV).path
    with path.open() as lines:
        (row,) = csv.DictReader(lines)

    assert (row["snr"], row["seed"], row["feh"], row["ra"], row["is_hot"]) == ("1.5", "0", "", "", "")
    assert (row["flag_weak"], row["spectrum_snr"]) == ("False", "30.0")


# > Mixtures


def test_results_of_other_options_are_a_mixture_that_is_refused(measured, create):
    for template in ("sun", "vega"):
        run = a_run(task="template_snr", options=json.dumps({"template": template}))
        measured(run_pk=run.pk)

    with pytest.raises(ConfigError) as caught:
        create(product="template_snr")

    message = str(caught.value)
    assert "template sun (1 rows); version" in message
    assert "weights unknown" not in message
    assert "weights_sha256, run_seed, n_draws, precision, options, run_pk or v_astra" in message


def test_a_run_from_before_an_option_is_one_with_its_default_and_no_result_comes_from_none(measured, read):
    for options in ("{}", '{"template": "sun"}'):
        measured(run_pk=a_run(task="template_snr", options=options).pk)
    measured(flag_no_result=True)

    table, header = read()

    assert (len(table), header["MIXED"]) == (3, False)


def test_a_mixture_that_is_asked_for_says_which_is_which(measured, read):
    for seed in (1, 2):
        measured(run_pk=a_run(task="template_snr", seed=seed).pk, seed=10 * seed)

    table, header = read(mixed=True)

    assert header["MIXED"] is True
    assert (list(table["run_seed"]), list(table["seed"])) == ([1, 2], [10, 20])


# > Results without flags


def test_results_without_flags_have_neither_flags_nor_their_counts(unflagged, create):
    row = unflagged.output_model.from_spectrum(a_spectrum(a_source(), healpix=5), pixels=3.0)
    row.save()

    made = create(product="count_pixels")

    (row,), header = Table.read(made.path), fits.getheader(made.path)
    assert (row["pixels"], row["snr"], row["k_mag"], row["spectrum_healpix"]) == (3.0, 100.0, 10.0, 5)
    assert (row["telescope"], row["field"]) == ("apo25m", "M67")
    names = row.colnames
    assert not [name for name in names if name.startswith("flag_")]
    assert names[-7:] == ["pixels", "task_pk", "run_pk", "v_astra", "created", "modified", "tag"]
    assert [card for card in header if card in ("NGOOD", "NBAD", "NWARN") or card.startswith("NFLAG")] == []
    found = made.as_dict()
    assert (found["good"], found["bad"], found["warn"], found["flags"]) == (None, None, None, {})


@on_sqlite
def test_names_of_dr19_are_refused(unflagged, create):
    with pytest.raises(UsageError, match="DR19 has no names for the results of count_pixels"):
        create(product="count_pixels", names=Names.DR19)


@on_sqlite
def test_a_name_that_two_products_have_is_refused(db, create, tmp_path, monkeypatch):
    again = guests.GOOD.replace("def count_pixels", "def count_again")
    guests.install(tmp_path / "one", monkeypatch, guests.GOOD, "count_pixels")
    guests.install(tmp_path / "two", monkeypatch, again, "count_again", package="other_package")

    with pytest.raises(UsageError, match="is the product of count_again and count_pixels: give the name of"):
        create(product="astraAllStarGuestResult")


def test_a_column_that_is_called_good_is_the_tasks_own(measured, read):
    measured(None, good=True)
    measured(None)

    table, header = read()

    assert "NGOOD" not in header
    assert list(table["good"]) == [True, False]


def test_spectra_of_another_kind_are_not_called_those_of_apogee(measured, create):
    measured(None)

    with fits.open(create(product="template_snr").path) as hdus:
        assert [hdu.name.lower() for hdu in hdus] == ["primary", "exposure"]
        assert "INSTRMNT" not in hdus[1].header
        assert "APOGEE" not in str(hdus[0].header)
    text = create("catalogue.vot", product="template_snr", format=Format.VOTABLE).path.read_text()
    assert 'name="Exposure"' in text
