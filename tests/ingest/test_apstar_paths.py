"""Which files `astra ingest apstar` takes."""

import os
import subprocess
import sys

import pytest

from astra.errors import UsageError
from astra.ingest.apstar import APSTAR
from astra.ingest.files import checked_paths, find_files


def _touched(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def _found(*paths):
    return [path.name for path in find_files(checked_paths(paths, APSTAR), APSTAR)]


def test_folders_are_searched_with_all_that_is_in_them(tmp_path):
    _touched(tmp_path, "b/c/apStar-r5-A.fits", "asStar-dr17-B.fits.gz", "b/apStarC-r5-A.fits")

    assert _found(tmp_path) == ["asStar-dr17-B.fits.gz", "apStarC-r5-A.fits", "apStar-r5-A.fits"]


def test_other_files_in_a_folder_are_left_out(tmp_path):
    _touched(
        tmp_path, "apVisit-r5-1-2-3.fits", "apStar-r5-A.png", "allStar-v603.fits", "aspcapStar-r5-A.fits"
    )

    assert _found(tmp_path) == []


def test_what_is_named_like_a_file_is_taken_for_one(tmp_path):
    (tmp_path / "apStar-r5-folder.fits").mkdir()
    _touched(tmp_path, "apStar-r5-folder.fits/apStar-r5-inside.fits")
    (tmp_path / "apStar-r5-link.fits").symlink_to(tmp_path / "gone")

    assert _found(tmp_path) == ["apStar-r5-folder.fits", "apStar-r5-link.fits"]
    assert _found(tmp_path / "apStar-r5-link.fits") == ["apStar-r5-link.fits"]


def test_of_the_versions_in_one_folder_the_last_night_counts(tmp_path):
    names = [f"apStar-daily-apo25m-{star}.fits" for star in ("A-59814", "A-60130", "B-59814", "B")]
    _touched(tmp_path, *names, "apStar-r5-C.fits", "apStar-r5-C.fits.gz")

    assert _found(tmp_path) == [names[1], names[3], "apStar-r5-C.fits"]


def test_the_order_of_the_paths_does_not_matter(tmp_path):
    _touched(tmp_path, "a/apStar-r5-A.fits", "b/apStar-r5-B.fits")

    assert _found(tmp_path / "b", tmp_path / "a") == _found(tmp_path / "a", tmp_path / "b")


def test_a_file_has_one_path_however_it_is_reached(tmp_path, monkeypatch):
    _touched(tmp_path, "a/apStar-r5-A.fits", "b/other")
    monkeypatch.chdir(tmp_path / "b")

    starts = checked_paths(["../a", tmp_path / "a"], APSTAR)
    assert list(find_files(starts, APSTAR)) == [tmp_path / "a/apStar-r5-A.fits"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gone", "no such file or folder: .*/gone"),
        ("gone/apStar-r5-A.fits", "no such file or folder: .*/apStar-r5-A.fits"),
        ("apVisit-r5-1-2-3.fits", "a visit spectrum: .*/apVisit-r5-1-2-3.fits; give combined spectra"),
        ("asVisit-dr17-1-2-3.fits", "a visit spectrum"),
        ("notes.txt", "not named like an apStar or asStar file: .*/notes.txt"),
    ],
)
def test_a_path_that_cannot_be_taken_is_refused(tmp_path, name, reason):
    if not name.startswith("gone"):
        _touched(tmp_path, name)

    with pytest.raises(UsageError, match=reason):
        checked_paths([tmp_path / name], APSTAR)


SCRIPT = """
import logging, sys
from astra.errors import UsageError
from astra.ingest.apstar import APSTAR
from astra.ingest.files import checked_paths, find_files
logging.basicConfig(level=logging.WARNING)
try:
    print([path.name for path in find_files(checked_paths(sys.argv[1:], APSTAR), APSTAR)])
except UsageError as error:
    print(error)
"""


@pytest.mark.heavy
def test_a_folder_that_may_not_be_read_is_refused_when_named_and_said_when_met(open_tmp_path, ordinary_user):
    _touched(open_tmp_path, "closed/apStar-r5-A.fits", "open/apStar-r5-B.fits")
    closed = open_tmp_path / "closed"
    os.chmod(closed, 0o311)
    ran = {
        path: subprocess.run(
            [sys.executable, "-c", SCRIPT, path],
            cwd="/",
            capture_output=True,
            text=True,
            check=True,
            **ordinary_user,
        )
        for path in (closed, open_tmp_path)
    }
    os.chmod(closed, 0o755)

    assert ran[closed].stdout == f"cannot read the folder {closed}: Permission denied\n"
    assert ran[open_tmp_path].stdout == "['apStar-r5-B.fits']\n"
    assert f"cannot read the folder {closed}: Permission denied" in ran[open_tmp_path].stderr
