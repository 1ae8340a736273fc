"""Names of files and headers, which may hold anything, reach terminal, log, CSV and pages as text."""

import csv
import io
import json
import unicodedata

import pytest
from builders import a_result, a_source, a_spectrum, on_sqlite, write_apstar

# It clears the screen, sets a colour, turns the direction of writing, begins another line, and is a formula.
HOSTILE = "=1+\x1b[2J\x9b31m\u202e\r\n+x\x07"
SHOWN = r"=1+\x1b[2J\x9b31m\u202e\r\n+x\x07"


def _only_text(said: str) -> bool:
    return all(sign == "\n" or unicodedata.category(sign)[0] not in "CZ" or sign == " " for sign in said)


@pytest.fixture
def hostile(db, tmp_path, monkeypatch):
    """A star, a spectrum, and a result with such text; the folder of the file has such a name."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / HOSTILE
    folder.mkdir()
    path = write_apstar(folder / "apStar-dr17-2M00000001+0000000.fits")
    spectrum = a_spectrum(a_source(sdss_id=77), path, field=HOSTILE)
    a_result(spectrum, result_flags=2**11, no_result_reason=f"lost: {path}")
    return path


COMMANDS = {
    "table": ["query", "--columns", "spectrum_pk,field,no_result_reason"],
    "CSV": ["query", "--columns", "field,no_result_reason", "--csv"],
    "JSON": ["query", "--columns", "field,no_result_reason", "--json"],
    "catalogue": ["create", "astronn_dist", "--format", "csv", "--output", "-"],
    "star": ["show", "77"],
    "why": ["status", "--why", "77"],
    "doctor": ["doctor"],
    "ingest": ["ingest", "apstar", HOSTILE],
    "damaged": ["ingest", "apstar", f"{HOSTILE}/apStar-dr17-2M00000002+0000000.fits"],
    "distance": ["distance", f"{HOSTILE}/apStar-dr17-2M00000001+0000000.fits", "--k-mag", "9"],
    "distance, CSV": ["distance", f"{HOSTILE}/apStar-dr17-2M00000002+0000000.fits", "--csv"],
    "wrong": ["status", HOSTILE],
    "no star": ["show", HOSTILE],
    "no file": ["models", "show", HOSTILE],
}


@on_sqlite  # what is printed is the same
@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_that_is_printed_is_obeyed(hostile, astra, command):
    hostile.with_name("apStar-dr17-2M00000002+0000000.fits").write_bytes(b"SIMPLE  = " + HOSTILE.encode())

    code, out, err = astra(*COMMANDS[command])

    assert _only_text(out + err), ascii(out + err)
    assert "Traceback" not in err
    assert (code == 0) is (command not in ("wrong", "no star", "no file")), err
    if command in ("CSV", "catalogue", "distance, CSV"):
        cells = [cell for row in csv.reader(io.StringIO(out)) for cell in row]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "@"))]
        assert any(SHOWN in cell for cell in cells)
    if command == "JSON":
        assert json.loads(out)[0]["field"] == HOSTILE


@on_sqlite
def test_a_page_shows_it_as_text(hostile, astra, tmp_path):
    assert astra("report", "astronn_dist", "--output", "page.html")[0] == 0

    page = (tmp_path / "page.html").read_text()
    assert not any(unicodedata.category(sign) in ("Cc", "Cf") for sign in page if sign not in "\n\t")
