"""No part of a password is in any output: whatever signs it has, however it was given, whatever fails."""

import contextlib
import io
import os
from pathlib import Path
from unittest import mock
from urllib.parse import quote

import pytest
from builders import on_postgresql
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from astra.cli import main
from astra.database.connection import database
from astra.hiding import MASK, hidden, hidden_address, is_misread

#: A part of a password that is too short to be of use, or to be told from chance.
PART = 4

# Where nobody listens.
PLACE = "127.0.0.1:1/survey"

# Letters that no message has beside each other, and all signs that mean something in addresses and YAML.
SIGNS = "@#/%?:&=*!'\"[]{}<>|\\`$,;-+ ~^()"
PASSWORDS = st.text(
    st.sampled_from(SIGNS + "QJXZ") | st.characters(codec="utf-8", exclude_characters="\x00"),
    min_size=1,
    max_size=24,
)

_AT = "dbname: d\n  host: 127.0.0.1\n  port: 1\n  "
_FROM = ["ingest", "astra", "--from"]


def _environment(**variables: str) -> tuple[dict[str, str], str, list[str]]:
    return variables, "", []


def _file(content: str, *words: str) -> tuple[dict[str, str], str, list[str]]:
    return {}, content, list(words)


def _words(*words: str) -> tuple[dict[str, str], str, list[str]]:
    return {}, "", list(words)


def _address(password: str) -> str:
    return f"postgresql://me:{password}@{PLACE}"


#: Ways to give a password: variables of the environment, a settings file, words in place of a command.
WAYS = {
    "address": lambda p: _environment(ASTRA_DATABASE_URL=_address(p)),
    "address, escaped": lambda p: _environment(ASTRA_DATABASE_URL=_address(quote(p, safe=""))),
    "parameter": lambda p: _environment(ASTRA_DATABASE_URL=f"postgresql://{PLACE}?password={p}"),
    "of a key": lambda p: _environment(ASTRA_DATABASE_URL=f"postgresql://me@{PLACE}?sslpassword={p}"),
    "file": lambda p: _environment(ASTRA_DATABASE_URL=f"postgresql://{PLACE}?passfile={p}"),
    "variable": lambda p: _environment(
        ASTRA_DATABASE_URL=f"postgresql://me@{PLACE}", ASTRA_DATABASE_PASSWORD=p
    ),
    "conninfo": lambda p: _environment(ASTRA_DATABASE_URL=f"host=127.0.0.1 port=1 password='{p}'"),
    "path": lambda p: _environment(ASTRA_DATABASE_PATH=_address(p)),
    "path, conninfo": lambda p: _environment(ASTRA_DATABASE_PATH=f"host=127.0.0.1 password={p}"),
    "YAML": lambda p: _file(f"database:\n  {_AT}password: {p}\n"),
    "YAML, in quotes": lambda p: _file(f"database:\n  {_AT}password: '{p}'\n"),
    "YAML, no blank": lambda p: _file(f"database: {{dbname: d, host: 127.0.0.1, port: 1, password:{p}}}"),
    "YAML, address": lambda p: _file(f"database:\n  url: {_address(p)}\n"),
    "YAML, path": lambda p: _file(f"database:\n  path: {_address(p)}\n"),
    "YAML, profile": lambda p: _file(f"databases: {{x: {{dbname: d, port: 1, password: {p}}}}}", *_FROM, "x"),
    "from_url": lambda p: ({"ASTRA_FROM_URL": _address(p)}, "", ["ingest", "astra"]),
    "option": lambda p: _words(*_FROM, _address(p)),
    "option, parameter": lambda p: _words(*_FROM, f"postgresql://{PLACE}?password={p}"),
    "option, conninfo": lambda p: _words(*_FROM, f"host=127.0.0.1 password={p}"),
    "option, no scheme": lambda p: _words(*_FROM, f"me:{p}@{PLACE}"),
    "word too much": lambda p: _words("ingest", "astra", _address(p)),
    "word for another": lambda p: _words("status", _address(p)),
}
COMMANDS = (
    ["config", "show"],
    ["config", "show", "--json"],
    ["doctor"],
    ["doctor", "--json"],
    ["status"],
    ["init"],
    ["query"],
    ["run", "astronn_dist", "--json"],
    ["srun", "astronn_dist", "--dry-run", "--json"],
)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty folder: what is taken for the name of a file would lie there."""
    monkeypatch.chdir(tmp_path)


def _parts(text: str) -> set[str]:
    return {text[at : at + PART] for at in range(len(text) - PART + 1)}


def _printed(way: str, password: str, command: list[str], *, debug: bool) -> str:
    environment, content, words = WAYS[way](password)
    Path(os.environ["ASTRA_CONFIG"]).write_text(content)
    printed = io.StringIO()
    with (
        mock.patch.dict(os.environ, environment),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
    ):
        main([*(["--debug"] if debug else []), *(words or command)])
    assert database.obj is None
    return printed.getvalue()


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(password=PASSWORDS, command=st.sampled_from(COMMANDS), debug=st.booleans())
@example("QJXZ@ZXJQ", ["status"], True)
@example("QJXZ/ZXJQ", ["doctor", "--json"], True)
@example("QJXZ#Z%XJQ", ["status"], True)
@example("*QJXZJQX", ["config", "show"], True)
@example("!QJXZJQX", ["doctor"], False)
@example("QJXZ://ZXJQ", ["config", "show"], False)
@example("file:QJXZJQX", ["config", "show", "--json"], False)
@example("!!float QJXZJQX", ["status"], True)
@example("!!int QJXZJQX", ["run", "astronn_dist", "--json"], True)
@example("%QJXZ&J=QX", ["run", "astronn_dist", "--json"], True)
def test_no_output_has_a_part_of_a_password(way, password, command, debug):
    printed = _printed(way, password, command, debug=debug)

    of_password = _parts(password) | _parts(quote(password, safe="")) | _parts(password.lower())
    # What would be there with another one as well, is there by chance.
    found = {part for part in of_password if part in printed}
    assert not found or found <= _parts(_printed(way, "Ω" * 9, command, debug=debug) + MASK)


@on_postgresql
@pytest.mark.parametrize("command", [*COMMANDS, ["init", "--json"], ["init", "--plan"]], ids=" ".join)
def test_no_output_has_a_password_that_is_accepted(db, command, monkeypatch):
    address = os.environ["ASTRA_DATABASE_URL"].replace("://postgres@", "://postgres:QJXZ@")
    monkeypatch.setenv("ASTRA_DATABASE_URL", f"{address}?sslpassword=ZXJQ")
    printed = io.StringIO()

    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        code = main(["--debug", *command])

    assert code == 0, printed.getvalue()
    assert "QJXZ" not in printed.getvalue()
    assert "ZXJQ" not in printed.getvalue()
    assert command != ["init"] or f"postgres:{MASK}@" in printed.getvalue()


@settings(max_examples=300)
@given(
    password=PASSWORDS, before=st.sampled_from(["", "cannot reach "]), after=st.sampled_from(["", ": no."])
)
@pytest.mark.parametrize("form", ["postgresql://me:{}@h:1/d", "postgres://h/d?password={}", "password={}"])
def test_a_text_loses_the_password_of_an_address_in_it(form, password, before, after):
    text = before + form.format(password) + after

    assert not _parts(password) & _parts(hidden(text)) - _parts(before + form.format(MASK) + after)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no https://data.sdss.org/sas/dr17?x=1: see", "no https://data.sdss.org/sas/dr17?x=1: see"),
        ("https://me:QJXZ@h/f failed", "https://********@h/f failed"),
        ("sqlite:////data/a@b/c.db", "sqlite:////data/a@b/c.db"),
        ("at postgresql://me:QJXZ@h:1,g:2/d, now", "at postgresql://me:********@h:1,g:2/d, now"),
        ("at postgresql://[::1]:5432/d.", "at postgresql://[::1]:5432/d."),
        ("postgresql:/me:QJXZ@h/d", "postgresql:/me:********@h/d"),
        ("postgresql+psycopg2://me:QJXZ@h/d", "postgresql+psycopg2://me:********@h/d"),
        ("password authentication failed", "password authentication failed"),
    ],
)
def test_what_is_no_password_stays(text, shown):
    assert hidden(text) == shown == hidden(shown)


@pytest.mark.parametrize(
    ("address", "misread"),
    [
        ("postgresql://me:Q?#:[J@h:5432/d?sslmode=require", False),
        ("postgresql://me:Q%40J@h1:1,h2:2/d", False),
        ("postgresql:///d?host=/tmp&user=me@azure", False),
        ("postgresql://me:Q@J@h/d", True),
        ("postgresql://me:Q/J@h/d", True),
        ("postgresql://me:Q%J@h/d", True),
        ("postgresql://me:QJXZ", True),
        ("postgresql://h/d?password=Q&J", True),
    ],
)
def test_an_address_whose_password_would_be_cut_is_known(address, misread):
    assert is_misread(address) is misread
    assert "QJXZ" not in hidden_address(address)
