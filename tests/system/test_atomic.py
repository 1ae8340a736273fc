"""A file that is there as a whole or not at all."""

import errno
import os
import secrets

import pytest

from astra.errors import StorageError, UsageError
from astra.system.atomic import output_file, refuse_to_replace


@pytest.fixture
def path(tmp_path):
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder" / "file"


def write(path, content=b"new", *, overwrite=False, failure=None):
    with output_file(path, overwrite=overwrite) as stream:
        stream.write(content)
        if failure:
            raise failure


def test_all_of_it_is_there_and_nothing_beside_it(path):
    write(path)

    assert path.read_bytes() == b"new"
    assert os.listdir(path.parent) == ["file"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_after_a_failure_the_older_file_is_as_it_was(path, error):
    path.write_bytes(b"old")

    with pytest.raises(error):
        write(path, overwrite=True, failure=error)

    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == ["file"]


def test_two_that_write_at_once_do_not_touch_the_file_of_each_other(path, monkeypatch):
    # As on two hosts that share a folder, where processes may have the same number.
    monkeypatch.setattr(os, "getpid", lambda: 1)

    with output_file(path, overwrite=True) as first:
        first.write(b"first")
        write(path, b"second", overwrite=True)

    assert path.read_bytes() == b"first"
    assert os.listdir(path.parent) == ["file"]


def test_a_file_beside_it_that_is_not_ours_is_left_alone(path, monkeypatch):
    monkeypatch.setattr(secrets, "token_hex", lambda size: "token")
    other = path.with_name(".file.token.part")
    other.write_bytes(b"of another")

    with pytest.raises(StorageError, match="File exists; name another place"):
        write(path)

    assert other.read_bytes() == b"of another"


@pytest.mark.parametrize(
    ("number", "said"), [(errno.ENOSPC, "; make room, or name"), (errno.EROFS, "; name another place")]
)
def test_only_a_full_disk_needs_room(path, number, said):
    with pytest.raises(StorageError, match=said):
        write(path, failure=OSError(number, os.strerror(number)))

    assert os.listdir(path.parent) == []


def test_a_folder_that_can_be_written_but_not_read_takes_the_file(path):
    path.parent.chmod(0o300)
    try:
        if os.access(path.parent, os.R_OK):
            pytest.skip("this user may read every folder")
        write(path)
    finally:
        path.parent.chmod(0o700)

    assert path.read_bytes() == b"new"


def test_a_link_is_followed(path, tmp_path):
    (tmp_path / "link").symlink_to(path)

    write(tmp_path / "link", overwrite=True)

    assert (tmp_path / "link").is_symlink()
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("name", ["nowhere/file", "mine/file", "link"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_is_not_there_is_said_before_any_work(tmp_path, name, overwrite):
    (tmp_path / "mine").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere" / "file")

    with pytest.raises(UsageError, match="there is no folder .*(nowhere|mine) for .*: make it, or name"):
        refuse_to_replace(tmp_path / name, overwrite=overwrite)


def test_what_is_there_is_replaced_only_where_that_is_asked_for_and_only_if_it_is_a_file(path):
    path.touch()

    refuse_to_replace(path, overwrite=True)
    with pytest.raises(UsageError, match="file exists already: give --overwrite"):
        refuse_to_replace(path)
    with pytest.raises(UsageError, match="cannot replace .*folder: it is not a file"):
        refuse_to_replace(path.parent, overwrite=True)
