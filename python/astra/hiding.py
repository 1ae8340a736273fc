"""Passwords: what of the address of a database may be shown, and which addresses could be misread.

``hidden`` is the one function that hides them. It shows of an address what is certain to be no part of a
password, and nothing else: libpq takes an ``@``, ``/`` or ``?`` that belongs to a password for the end of it,
and would look for the rest of the password as a server, or name it in a message.
"""

import re

#: In place of what is hidden.
MASK = "********"

_SCHEMES_OF_FILES = r"(?:https?|ftps?|file|sqlite|s3):"
# An address up to the last @ of the text, and the word that it stands in; and what follows.
_ADDRESS = re.compile(
    rf"\b(?!{_SCHEMES_OF_FILES})(postgres\w*(?=:)|[a-z][a-z0-9+.-]*(?=://))(:/+)((?:.*@)?\S*)(.*)",
    re.DOTALL | re.IGNORECASE,
)
_LOGIN = re.compile(rf"(\b{_SCHEMES_OF_FILES}//)[^\s/]*@", re.IGNORECASE)
# Of `password=…` in a connection string, or in the lines of settings, nobody knows where it ends.
_NAMED = re.compile(
    rf"(pass(?:word|file|wd)\s*[=:]\s*)(?!{re.escape(MASK)}|\s|$).*", re.DOTALL | re.IGNORECASE
)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*", re.IGNORECASE)
_SERVER = r"(?:\[[0-9a-f:.]+\]|[\w.%-]*)(?::\d*)?"
# The parts of an address of which it is certain where they begin and end.
_CERTAIN = re.compile(
    rf"(?:(?P<user>[^\s:/?#@]*)(?P<password>:[^/?]*)?(?P<at>@))?"
    rf"(?P<place>{_SERVER}(?:,{_SERVER})*(?:/[\w.%+-]*)?)(?P<query>\?[^@]*)?",
    re.IGNORECASE,
)
# No more of them: a password may end so.
_AFTER_A_WORD = re.compile(r"""[.,:;'")\]}`…]{0,3}$""")


def hidden(text: str) -> str:
    """Text without the passwords of addresses and connection strings in it; in doubt, with less."""
    text = _NAMED.sub(rf"\g<1>{MASK}", text)
    return _LOGIN.sub(rf"\g<1>{MASK}@", _ADDRESS.sub(_without_password, text))


def is_address(text: str) -> bool:
    """Whether there is an address of a database in it, or a connection string with a password."""
    return bool(_ADDRESS.search(text) or _NAMED.search(text))


def hidden_address(address: str) -> str:
    """One address of a database without its password; in doubt, nothing but its beginning."""
    if re.match(_SCHEMES_OF_FILES, address, re.IGNORECASE):
        return _LOGIN.sub(rf"\g<1>{MASK}@", address)
    scheme, separator, rest = address.partition("://")
    if not separator or not _SCHEME.fullmatch(scheme):
        return MASK
    if (parts := _CERTAIN.fullmatch(rest)) is None:
        return f"{scheme}://{MASK}"
    login = f"{parts['user']}{':' + MASK if parts['password'] else ''}@" if parts["at"] else ""
    return f"{scheme}://{login}{parts['place']}{'?' + MASK if parts['query'] else ''}"


def _without_password(found: re.Match[str]) -> str:
    scheme, separator, rest, following = found.groups()
    end = _AFTER_A_WORD.search(rest).start()
    shown = hidden_address(f"{scheme}://{rest[:end]}")
    if shown == f"{scheme}://{MASK}":
        # A password may have blanks: nobody knows where it ends.
        return scheme + separator + MASK
    # One slash is what a path has left of two.
    return shown.replace("://", separator, 1) + rest[end:] + following


def is_misread(address: str) -> bool:
    """Whether PostgreSQL would take a part of the password for something else, or cannot read the address."""
    import psycopg2

    rest = address.partition("://")[2]
    login = re.match("[^@/]*@", rest)
    server = rest[login.end() if login else 0 :].partition("?")[0]
    try:
        port = psycopg2.extensions.parse_dsn(address).get("port", "")
    except psycopg2.ProgrammingError:
        return True
    return "@" in server or not re.fullmatch(r"[\d,]*", port)
