"""What keeps a file from being read is the system's fault, whatever it is; what its bytes say is its own."""

import errno
import gzip
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from builders import write_apstar

from astra.errors import MissingSpectrum, UnreadableSpectrum
from astra.spectra import content
from astra.spectra.apstar import read_combined, read_header
from astra.spectra.content import content_of, unpacked


class Failing(io.FileIO):
    """A file whose reads fail from a certain one on."""

    number, sound_reads = errno.EIO, 0

    def readinto(self, buffer):
        self.sound_reads -= 1
        if self.sound_reads < 0:
            raise OSError(self.number, os.strerror(self.number))
        return super().readinto(buffer)


def _failing(monkeypatch, call, number, sound_reads=0):
    """Let one call of the operating system fail, for every file."""

    def refuse(path, *arguments, **rest):
        raise OSError(number, os.strerror(number), str(path))

    def opened(path, *arguments, **rest):
        file = Failing(path)
        file.number, file.sound_reads = number, sound_reads
        return file

    name, replacement = {"stat": ("stat", refuse), "open": ("open", refuse), "read": ("open", opened)}[call]
    monkeypatch.setattr(Path, name, replacement)


@pytest.mark.parametrize("call", ["stat", "open", "read"])
@pytest.mark.parametrize("read", [read_combined, read_header])
def test_whatever_the_system_says_is_its_own_fault(tmp_path, monkeypatch, call, read):
    path = write_apstar(tmp_path / "a.fits")
    for number in sorted(errno.errorcode):
        with monkeypatch.context() as patched:
            _failing(patched, call, number)

            with pytest.raises(MissingSpectrum) as caught:
                read(path)

        assert str(caught.value) == f"{os.strerror(number)}: {path}"


@pytest.mark.parametrize("packed", [False, True])
def test_no_read_that_fails_is_taken_for_damage(tmp_path, monkeypatch, packed):
    path = write_apstar(tmp_path / "a.fits")
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    outcomes = []
    for sound_reads in range(100):
        with monkeypatch.context() as patched:
            _failing(patched, "read", errno.EIO, sound_reads)
            try:
                read_combined(path)
            except MissingSpectrum:
                outcomes.append("missing")
            else:
                outcomes.append("read")

    failed = outcomes.index("read")
    assert failed > 3
    assert set(outcomes[:failed]) == {"missing"}
    assert set(outcomes[failed:]) == {"read"}


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs /proc, where a file gives real errors")
def test_a_real_error_of_a_read_is_the_systems_fault():
    with pytest.raises(MissingSpectrum, match=r"^Input/output error: /proc/self/mem$"):
        read_combined("/proc/self/mem")


def _loop(path):
    path.symlink_to(path)
    return path


def _under_a_file(path):
    path.touch()
    return path / "b.fits"


@pytest.mark.parametrize(
    ("made", "number"),
    [
        (lambda path: path.with_name("b"), errno.ENOENT),
        (_loop, errno.ELOOP),
        (_under_a_file, errno.ENOTDIR),
        (lambda path: path.with_name("x" * 300), errno.ENAMETOOLONG),
    ],
)
def test_paths_that_lead_nowhere_are_the_systems_answer(tmp_path, made, number):
    path = made(tmp_path / "a.fits")

    with pytest.raises(MissingSpectrum) as caught:
        read_combined(path)

    assert str(caught.value) == f"{os.strerror(number)}: {path}"


def test_a_file_that_was_never_opened_is_closed_without_a_message(tmp_path):
    script = "import sys; from astra.spectra.apstar import read_combined; read_combined(sys.argv[1])"
    # Errors while an object is discarded: Python shows them from 3.13 on, before that with "-X dev".
    command = [sys.executable, "-X", "dev", "-c", script, tmp_path / "absent"]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stderr

    assert "MissingSpectrum: No such file or directory" in said
    assert "Exception ignored" not in said


def test_a_place_that_cannot_be_is_what_the_bytes_ask_for(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")

    with content_of(path) as file, pytest.raises(OSError, match="Invalid argument"):
        file.seek(-5)


def test_a_stream_that_grows_beyond_measure_is_given_up():
    packed = gzip.compress(bytes(10_000))

    assert unpacked(io.BytesIO(packed), 10_000, "a").read() == bytes(10_000)
    with pytest.raises(UnreadableSpectrum, match="^too large: a holds more than 9,999 bytes when unpacked$"):
        unpacked(io.BytesIO(packed), 9_999, "a")


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_file_larger_than_any_spectrum_is_refused(tmp_path, monkeypatch, pack):
    path = tmp_path / "a.fits"
    path.write_bytes(pack(bytes(300_000)))
    monkeypatch.setattr(content, "MAX_SIZE", 200_000)

    with pytest.raises(UnreadableSpectrum, match="^too large: "):
        read_combined(path)
