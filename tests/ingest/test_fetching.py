"""``astra fetch`` against an archive of our own, by real HTTP on this machine alone."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from builders import N_PIXELS, a_source, a_spectrum, on_sqlite, write_apstar

from astra.ingest import archive
from astra.ingest.fetching import BATCH, fetch, missing, of_field, registered
from astra.models import ApogeeCoaddedSpectrumInApStar, Source

OBJ, OTHER = "2M06154934-0100415", "2M17334253-1654573"
FOLDER = "dr17/apogee/spectro/redux/dr17/stars/apo25m/M67"


class Archive(ThreadingHTTPServer):
    """A server of files whose manners a test can change.

    Attributes:
        asked: The paths of all requests.
        shown: How many bytes of a file to send before the connection ends; ``None`` sends all.
        status: What to answer instead of a file, by the name of the star, as far as it fails.
        login: The value of the header Authorization without which it refuses.
        before_end: Called in the middle of a file.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root, self.asked, self.shown, self.status, self.login = root, [], None, {}, None
        self.before_end = lambda: None
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        pass  # the client has gone, as it may


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, *arguments):
        super().__init__(*arguments, directory=arguments[2].root)

    def do_GET(self):
        self.server.asked.append(self.path)
        if self.server.login and self.headers["Authorization"] != self.server.login:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="SDSS"')
            self.end_headers()
        elif failing := [name for name in self.server.status if name in self.path]:
            self.send_error(self.server.status[failing[0]])
        else:
            super().do_GET()

    def copyfile(self, source, output):
        content = source.read()
        shown = len(content) if self.server.shown is None else self.server.shown
        output.write(content[: shown // 2])
        output.flush()
        self.server.before_end()
        output.write(content[shown // 2 : shown])

    def log_message(self, *_):
        pass


@pytest.fixture
def sas(tmp_path, monkeypatch):
    """``SAS_BASE_DIR``, empty."""
    folder = tmp_path / "here" / "sas"
    folder.mkdir(parents=True)
    monkeypatch.setenv("SAS_BASE_DIR", str(folder))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return folder


@pytest.fixture
def server(tmp_path):
    """An archive with the file of one star."""
    root = tmp_path / "there"
    _published(root, OBJ)
    with Archive(root) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def _published(root, obj, folder=FOLDER, **header):
    path = root / "sas" / folder / f"apStar-dr17-{obj}.fits"
    path.parent.mkdir(parents=True, exist_ok=True)
    cards = {"OBJID": obj, "FIELD": "M67", "TELESCOP": "apo25m", **header}
    return write_apstar(path, np.full(N_PIXELS, 100.0), stacked=False, header=cards)


def _path(obj):
    return f"{FOLDER}/apStar-dr17-{obj}.fits"


def _register(obj, **values):
    """A star and its spectrum, as from a table: the file is not there."""
    product_id = f"apstar/dr17/dr17/apo25m/m67/{obj}/ap/s"
    given = {"obj": obj, "product_id": product_id, "path": _path(obj)}
    return a_spectrum(a_source(sdss4_apogee_id=obj), **(given | values))


def _files(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


# > From a name to a file


def test_the_file_of_a_registered_star_comes_to_its_place_and_is_registered(db, sas, server, astra):
    _register(OBJ)
    environment = dict(os.environ)

    code, out, err = astra("fetch", OBJ, "--archive", server.url)

    assert (code, err) == (0, "")
    assert out.splitlines()[0].startswith("files: 1 fetched (0.")
    assert (sas / _path(OBJ)).read_bytes() == (server.root / "sas" / _path(OBJ)).read_bytes()
    assert server.asked == [f"/sas/{_path(OBJ)}"]
    (row,) = ApogeeCoaddedSpectrumInApStar.select()
    assert row.path == _path(OBJ)
    assert row.pixels_digest
    assert dict(os.environ) == environment
    assert row.flux.shape == (N_PIXELS,)


@on_sqlite
def test_what_is_there_already_is_neither_sent_nor_written_again(db, sas, server, astra):
    _register(OBJ)
    astra("fetch", OBJ, "--archive", server.url)
    before = (sas / _path(OBJ)).stat()

    code, out, _ = astra("fetch", OBJ, "--archive", f"{server.url}/sas/", "--json")

    found = json.loads(out)
    assert (code, found["there"], found["fetched"], found["bytes"]) == (0, 1, 0, 0)
    assert found["ingest"]["spectra_unchanged"] == 1
    assert (sas / _path(OBJ)).stat() == before


@on_sqlite
def test_a_file_that_is_too_short_is_replaced_and_one_that_is_too_long_is_kept(db, sas, server, astra):
    whole = (server.root / "sas" / _path(OBJ)).read_bytes()
    _register(OBJ)
    place = sas / _path(OBJ)
    place.parent.mkdir(parents=True)
    place.write_bytes(whole[:5000])

    assert astra("fetch", OBJ, "--archive", server.url)[0] == 0
    assert place.read_bytes() == whole

    place.write_bytes(whole + b"\0" * 2880)
    code, _, err = astra("fetch", OBJ, "--archive", server.url)
    assert (code, place.stat().st_size) == (0, len(whole) + 2880)
    assert "is kept as it is, longer than in the archive" in err

    (server.root / "sas" / _path(OBJ)).unlink()
    code, _, err = astra("fetch", OBJ, "--archive", server.url)
    assert (code, place.exists()) == (0, True)
    assert "is kept as it is, not in the archive (404" in err


@on_sqlite
def test_a_star_without_its_file_in_the_archive_is_one_line_and_others_go_on(db, sas, server, astra):
    _register(OTHER)
    _register(OBJ)

    code, out, err = astra("fetch", OTHER, OBJ, "--archive", server.url)

    assert code == 0
    assert "files: 1 fetched" in out
    assert "1 not in the archive" in out
    (line,) = err.splitlines()
    assert OTHER in line
    assert f"{server.url}/sas/{_path(OTHER)}" in line
    assert "404" in line
    assert _files(sas) == [f"apStar-dr17-{OBJ}.fits"]


@on_sqlite
def test_nothing_in_the_archive_is_an_error_that_says_so(db, sas, server, astra):
    _register(OTHER)

    code, _, err = astra("fetch", OTHER, "--archive", server.url)

    assert code == 2
    assert "astra: error: the archive has none of the files: 1" in err


def test_missing_takes_all_that_is_registered_and_not_there(db, sas, server, astra):
    others = [f"2M{number:08d}-0000000" for number in range(3)]
    for obj in (OBJ, *others):
        _register(obj)
        _published(server.root, obj)
    astra("fetch", OBJ, "--archive", server.url)
    server.asked.clear()

    code, out, _ = astra("fetch", "--missing", "--limit", "2", "--archive", server.url, "--json")
    assert (code, json.loads(out)["fetched"], len(server.asked)) == (0, 2, 2)
    code, out, _ = astra("fetch", "--missing", "--dry-run", "--json")
    assert (code, json.loads(out)["missing"]) == (0, [_path(others[2])])
    assert astra("fetch", "--missing", "--archive", server.url)[0] == 0
    assert list(missing()) == []
    assert astra("fetch", "--missing", "--archive", server.url)[1] == "nothing is missing\n"


@on_sqlite
def test_files_that_the_archive_lacks_do_not_use_up_the_limit(db, sas, server, astra):
    for obj in (OTHER, f"2M{0:08d}-0000000", OBJ):
        _register(obj)

    code, out, _ = astra("fetch", "--missing", "--limit", "1", "--archive", server.url, "--json")

    found = json.loads(out)
    assert (code, found["files"], found["fetched"], found["lacking"]) == (0, 3, 1, 2)


@on_sqlite
def test_missing_looks_through_more_rows_than_one_query_reads(db, sas):
    for number in range(BATCH + 5):
        _register(f"2M{number:08d}-0000000")

    assert len(list(missing())) == BATCH + 5


@on_sqlite
def test_only_a_release_and_a_telescope(db, sas):
    _register(OBJ)
    source = Source.get()
    a_spectrum(source, obj=OBJ, product_id="b", path="dr16/x/apStar-r12-a.fits", release="dr16")
    a_spectrum(source, obj=OBJ, product_id="c", path="dr17/x/asStar-dr17-a.fits", telescope="lco25m")

    assert [each.path for each in registered([OBJ], release="DR17", telescope="apo25m")] == [_path(OBJ)]
    assert [each.release for each in registered([OBJ, OBJ], telescope="apo25m")] == ["dr17", "dr16"]
    assert len(list(missing())) == 3


@on_sqlite
def test_a_path_outside_the_base_folder_is_said_and_left_out(db, sas, astra):
    _register(OBJ, path=f"/elsewhere/apStar-dr17-{OBJ}.fits")

    code, _, err = astra("fetch", OBJ)

    assert code == 2
    assert f"left out, its path is not below SAS_BASE_DIR: /elsewhere/apStar-dr17-{OBJ}.fits" in err


# > A star that is not registered


@on_sqlite
def test_a_star_that_is_not_registered_is_told_what_to_do(db, sas, astra):
    code, _, err = astra("fetch", OBJ, "--release", "dr17")

    assert code == 2
    error = err.splitlines()[0]
    assert OBJ in error
    assert "`astra ingest allstar FILE`" in error
    assert "--field" in error


@on_sqlite
def test_a_star_that_is_not_registered_is_found_by_its_field(db, sas, server, astra):
    where = ["--release", "dr17", "--telescope", "apo25m", "--field", "M67"]

    code, _, err = astra("fetch", OBJ, *where, "--archive", server.url)

    assert (code, err) == (0, "")
    row = ApogeeCoaddedSpectrumInApStar.get(obj=OBJ)
    assert (row.path, row.source.sdss4_apogee_id) == (_path(OBJ), OBJ)


@pytest.mark.parametrize(
    ("release", "telescope", "place", "path"),
    [
        ("dr12", "apo25m", "4123", "dr12/apogee/spectro/redux/r5/stars/apo25m/4123/apStar-r5-{}.fits"),
        ("dr12", "apo1m", "hip", "dr12/apogee/spectro/redux/r5/stars/apo1m/hip/apStar-r5-{}.fits"),
        ("dr16", "lco25m", "N6441", "dr16/apogee/spectro/redux/r12/stars/lco25m/N6441/asStar-r12-{}.fits"),
        ("DR17", "apo25m", "M67", "dr17/apogee/spectro/redux/dr17/stars/apo25m/M67/apStar-dr17-{}.fits"),
    ],
)
def test_the_path_of_a_star_in_a_field(release, telescope, place, path):
    (found,) = of_field([OBJ], release=release, telescope=telescope, place=place)

    assert (found.release, found.path) == (release.lower(), path.format(OBJ))


@on_sqlite
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give stars, or --missing"),
        ([OBJ, "--missing"], "give stars, or --missing"),
        ([OBJ, "--limit", "3"], "--limit is for --missing"),
        ([OBJ, "--field", "M67"], "with --release and --telescope"),
        ([OBJ, "--field", "1", "--release", "dr19", "--telescope", "apo25m"], "dr19 has no folders"),
        ([OBJ, "--field", "M67", "--release", "dr12", "--telescope", "apo25m"], "LOCATION_ID, a number"),
        ([OBJ, "--field", "M67", "--release", "dr17", "--telescope", "vlt"], "not a telescope: 'vlt'"),
        (["--missing", "--archive", "mirror.org"], "begins with https://"),
        (["12", "--field", "M67", "--release", "dr17", "--telescope", "apo25m"], "not an APOGEE id: '12'"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_line(db, sas, astra, arguments, said):
    code, _, err = astra("fetch", *arguments)

    assert code == 2
    assert said in err.splitlines()[0]


# > What can go wrong


@on_sqlite
def test_without_a_base_folder_nothing_is_fetched(db, sas, astra, monkeypatch):
    _register(OBJ)
    monkeypatch.setenv("SAS_BASE_DIR", str(sas / "not mounted"))
    code, _, err = astra("fetch", OBJ)
    assert (code, (sas / "not mounted").exists()) == (78, False)
    assert "SAS_BASE_DIR is not a folder" in err

    monkeypatch.delenv("SAS_BASE_DIR")
    for arguments in ([OBJ], ["--missing"], ["--missing", "--dry-run"]):
        code, _, err = astra("fetch", *arguments)
        assert code == 78
        assert "SAS_BASE_DIR is not set" in err


@on_sqlite
def test_without_the_package_one_line_names_the_extra(db, sas, astra, monkeypatch):
    _register(OBJ)
    monkeypatch.setattr(archive, "find_spec", lambda name: None)

    code, _, err = astra("fetch", OBJ)

    assert code == 78
    assert "pip install 'astra-distances[sas]'" in err


@on_sqlite
def test_a_body_that_ends_early_leaves_nothing_and_the_next_call_fetches_it(db, sas, server, astra):
    _register(OBJ)
    server.shown = 4000

    code, out, err = astra("fetch", OBJ, "--archive", server.url)
    assert (code, _files(sas)) == (75, [])
    assert "1 incomplete" in out
    assert "did not arrive whole (4,000 of " in err
    assert "run again to fetch them" in err
    assert len(server.asked) == 3

    server.shown = None
    assert astra("fetch", OBJ, "--archive", server.url)[0] == 0
    assert _files(sas) == [f"apStar-dr17-{OBJ}.fits"]


@pytest.mark.slow
@on_sqlite
def test_a_page_that_asks_for_a_login_is_not_taken_for_a_spectrum(db, sas, server, astra):
    _register(OBJ)
    (server.root / "sas" / _path(OBJ)).write_text("<html>Welcome to our hotel</html>")

    code, _, err = astra("fetch", OBJ, "--archive", server.url)

    assert (code, _files(sas)) == (75, [])
    assert "the answer is not a FITS file" in err


@on_sqlite
@pytest.mark.parametrize("how", ["down", pytest.param("503", marks=pytest.mark.slow)])
def test_an_archive_that_does_not_answer_ends_the_work_with_69(db, sas, server, astra, how):
    _register(OBJ)
    server.status[OBJ] = 503
    url = server.url if how == "503" else "http://127.0.0.1:1"

    code, _, err = astra("fetch", OBJ, "--archive", url)

    assert (code, _files(sas)) == (69, [])
    (line,) = err.splitlines()
    assert f"the archive does not answer: {url}/sas/{_path(OBJ)}" in line


@on_sqlite
def test_what_arrived_before_the_archive_went_away_is_registered(db, sas, server):
    _register(OBJ)
    _register(OTHER)
    server.status[OTHER] = 503

    report = fetch(registered([OBJ, OTHER]), archive=server.url)

    assert report.error.exit_code == 69
    assert ApogeeCoaddedSpectrumInApStar.get(obj=OBJ).pixels_digest is not None


@on_sqlite
def test_a_download_that_is_killed_leaves_nothing_that_passes_for_a_file(db, sas, server, astra, monkeypatch):
    _register(OBJ)
    started = []

    class Recorded(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            started.append(self)

    def kill():
        _wait_for_part(sas)
        os.kill(started[0].pid, signal.SIGKILL)

    monkeypatch.setattr(archive.subprocess, "Popen", Recorded)
    server.before_end = kill
    code, _, err = astra("fetch", OBJ, "--archive", server.url)
    assert code == 75
    assert "killed (signal 9): run again" in err
    (left,) = _files(sas)
    assert left.startswith(".")
    assert left.endswith(".part")
    assert astra("ingest", "apstar", sas)[2].startswith("astra: WARNING: no apStar or asStar file")

    # What was left long ago is cleared away when the file is whole.
    os.utime(next(sas.rglob(left)), (0, 0))
    server.before_end = lambda: None
    assert astra("fetch", OBJ, "--archive", server.url)[0] == 0
    assert _files(sas) == [f"apStar-dr17-{OBJ}.fits"]


def _wait_for_part(folder):
    for _ in range(500):
        if any(folder.rglob("*.part")):
            return
        time.sleep(0.01)
    raise AssertionError("nothing was begun")


@on_sqlite
def test_a_folder_that_cannot_be_written_is_one_line(db, sas, server, astra):
    _register(OBJ)
    (sas / "dr17").write_text("in the way")

    code, _, err = astra("fetch", OBJ, "--archive", server.url)

    assert code == 74
    assert f"cannot write {sas / _path(OBJ)}" in err


# > What is not public


@on_sqlite
def test_work_that_is_not_public_takes_the_login_of_the_host_from_netrc(db, sas, server, astra):
    folder = "sdsswork/mwm/apogee/spectro/redux/1.3/stars/apo25m/65/65000"
    path = f"{folder}/apStar-1.3-apo25m-{OBJ}.fits"
    product_id = f"apstar/sdss5/1.3/apo25m/65000/{OBJ}/ap/s"
    place = {"apred": "1.3", "healpix": 65000, "field": "", "path": path}
    _register(OBJ, release="sdss5", product_id=product_id, **place)
    _published(server.root, OBJ, folder, HEALPIX=65000).rename(server.root / "sas" / path)
    server.login = "Basic c2Rzczp4eHg="  # sdss:xxx
    netrc = Path.home() / ".netrc"

    code, _, err = astra("fetch", OBJ, "--archive", server.url)
    assert (code, len(err.splitlines())) == (78, 1)
    assert "~/.netrc gives no login" in err
    assert "add `machine 127.0.0.1 login" in err

    # That of the survey's own host is not sent elsewhere.
    netrc.touch(0o600)
    netrc.write_text("machine data.sdss5.org login sdss password xxx\n")
    code, _, err = astra("fetch", OBJ, "--archive", server.url)
    assert (code, server.asked) == (78, [])
    assert "it names no such machine" in err

    netrc.write_text("machine 127.0.0.1 login sdss password wrong\n")
    code, _, err = astra("fetch", OBJ, "--archive", server.url)
    assert code == 78
    assert "the archive refuses" in err
    assert "401" in err

    netrc.write_text("machine 127.0.0.1 login sdss password xxx\n")
    code, _, err = astra("fetch", OBJ, "--archive", server.url)
    assert (code, err) == (0, "")
    assert (sas / path).exists()


def test_the_address_of_public_data_is_that_of_sdss_access(sas):
    """Of each release, without a request: the host and the folder below it."""
    script = (
        "from sdss_access import HttpAccess; import os; base = os.environ['SAS_BASE_DIR']\n"
        "for release in ('dr10', 'dr12', 'dr14', 'dr16', 'dr17', 'dr19'):\n"
        "    access = HttpAccess(release=release)\n"
        "    print(access.public, access.url('', full=f'{base}/{release}/x.fits'))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=os.environ
    )
    releases = ("dr10", "dr12", "dr14", "dr16", "dr17", "dr19")
    assert ran.stdout.splitlines() == [f"True https://data.sdss.org/sas/{each}/x.fits" for each in releases]
