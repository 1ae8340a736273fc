"""``astra serve`` where it cannot start."""

import socket
import sys

from builders import on_sqlite


@on_sqlite
def test_a_port_that_is_taken_is_wrong_usage(db, astra):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        code, out, err = astra("serve", "--port", port)

    assert (code, out) == (2, "")
    assert f"--port {port}: Address already in use; name another one, or 0 for any that is free" in err


def test_without_datasette_it_says_how_to_install_it(astra, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasette", None)

    code, out, err = astra("serve")

    assert (code, out) == (78, "")
    assert err == "astra: error: astra serve needs datasette: pip install 'astra-distances[serve]'\n"


def test_without_a_database_it_says_so(astra, monkeypatch, tmp_path):
    monkeypatch.setenv("ASTRA_DATABASE_PATH", str(tmp_path / "none.db"))

    assert astra("serve")[0] == 78
