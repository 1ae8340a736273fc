"""Spec files become rows: repeated, changed, damaged."""

import sys

import pytest

from astra.errors import MissingSpectrum, UnreadableSpectrum, UsageError
from astra.models import Source, Spectrum

from boss_d4000 import simulate
from boss_d4000.ingest import ingest, main
from boss_d4000.simulate import write_spec
from boss_d4000.spectra import BossSpectrum

COUNTS = {"new": 0, "updated": 0, "unchanged": 0, "unreadable": 0}


def test_a_file_becomes_a_spectrum_with_its_source(database, folder):
    path = write_spec(folder, 7, Z=0.25, SDSS_ID=1234)

    assert ingest([folder]) == COUNTS | {"new": 1}

    row = BossSpectrum.get()
    assert (row.product_id, row.path) == ("specLite/v6_1_3/112360/60000/7", str(path))
    assert (row.redshift, row.zwarning, row.snr) == (0.25, 0, 20.0)
    assert (row.source.sdss_id, row.source.ra, row.source.dec) == (1234, 150.0, 2.2)
    assert Spectrum.get().resolve() == row
    assert list(row.source.spectra) == [row]


def test_two_spectra_of_one_object_share_its_source(database, folder):
    for mjd in (60000, 60001):
        write_spec(folder, 7, MJD=mjd)

    ingest([folder])

    assert (BossSpectrum.select().count(), Source.select().count()) == (2, 1)


def test_an_object_without_sdss_id_has_no_source(database, folder):
    write_spec(folder, 7, SDSS_ID=-999)

    ingest([folder])

    assert BossSpectrum.get().source is None


def test_to_repeat_it_changes_nothing(database, folder):
    write_spec(folder, 7)
    ingest([folder])
    before = BossSpectrum.get()

    assert ingest([folder]) == COUNTS | {"unchanged": 1}

    assert BossSpectrum.get().modified == before.modified


@pytest.mark.parametrize("change", [{"strength": 1.9}, {"Z": 0.12}], ids=["pixels", "redshift"])
def test_a_file_that_was_reduced_again_is_modified_and_keeps_its_identity(database, folder, change):
    write_spec(folder, 7)
    ingest([folder])
    before = BossSpectrum.get()
    write_spec(folder, 7, **change)

    assert ingest([folder]) == COUNTS | {"updated": 1}

    after = BossSpectrum.get()
    assert after.modified > before.modified
    assert (after.pk, after.spectrum_pk, after.created) == (before.pk, before.spectrum_pk, before.created)


def test_what_cannot_be_read_is_named_and_the_others_are_registered(database, folder, caplog):
    good, bad = write_spec(folder, 1), write_spec(folder, 2)
    bad.write_bytes(good.read_bytes()[:20_000])
    (folder / "spec-1-2-3.fits").write_text("not FITS")

    assert ingest([folder]) == COUNTS | {"new": 1, "unreadable": 2}

    assert str(bad) in caplog.text
    assert "spec-1-2-3.fits" in caplog.text


def test_paths_below_the_base_folder_are_relative_to_it(database, folder, monkeypatch):
    monkeypatch.setenv("SAS_BASE_DIR", str(folder.parent))
    path = write_spec(folder, 1)

    ingest([folder])

    row = BossSpectrum.get()
    assert row.path == f"spectra/{path.name}"
    assert row.read().digest() == row.pixels_digest


def test_a_file_that_the_system_withholds_is_told_from_a_damaged_one(database, folder):
    path = write_spec(folder, 1)
    ingest([folder])
    row = BossSpectrum.get()

    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(UnreadableSpectrum, match="not a spec file"):
        row.read()
    path.unlink()
    with pytest.raises(MissingSpectrum, match="No such file"):
        row.read()


def test_a_path_that_is_not_there_is_wrong_usage(database, folder):
    with pytest.raises(UsageError, match="no such file or folder: .*gone"):
        ingest([folder / "gone"])


@pytest.mark.parametrize(("words", "code"), [([], 2), (["--help"], 0), (["/gone"], 2)])
def test_the_command_says_how_it_is_called(database, monkeypatch, capsys, words, code):
    monkeypatch.setattr(sys, "argv", ["boss-d4000-ingest", *words])

    assert main() == code

    assert "boss-d4000-ingest" in capsys.readouterr().err


def test_the_command_prints_what_became_of_the_files(database, folder, monkeypatch, capsys):
    write_spec(folder, 1)
    monkeypatch.setattr(sys, "argv", ["boss-d4000-ingest", str(folder)])

    assert main() == 0

    assert capsys.readouterr().out == "1 new, 0 updated, 0 unchanged, 0 unreadable\n"


def test_without_tables_it_says_what_to_do(tmp_path, folder, monkeypatch, capsys):
    monkeypatch.setenv("ASTRA_DATABASE_PATH", str(tmp_path / "new.db"))
    (tmp_path / "new.db").touch()
    write_spec(folder, 1)
    monkeypatch.setattr(sys, "argv", ["boss-d4000-ingest", str(folder)])

    assert main() == 78

    assert capsys.readouterr().err.endswith("the table boss_spectrum is missing: run `astra init`\n")


def test_made_up_objects_lie_apart_within_a_field_and_the_same_number_gives_the_same(
    database, folder, monkeypatch, capsys
):
    monkeypatch.setattr(sys, "argv", ["simulate", str(folder), "3"])

    assert simulate.main() == 0
    assert capsys.readouterr().out == f"3 spec files are in {folder}\n"
    ingest([folder])
    simulate.main()

    assert ingest([folder]) == COUNTS | {"unchanged": 3}
    rows = list(BossSpectrum.select())
    places = [(row.source.ra, row.source.dec, row.redshift) for row in rows]
    assert len(set(places)) == 3
    assert all(149 < ra < 151 and 1.2 < dec < 3.2 and 0.02 < z < 0.25 for ra, dec, z in places)
