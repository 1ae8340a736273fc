"""Text of others, which may hold anything: names of files, headers, messages."""

import unicodedata


def printable(text: object) -> str:
    r"""Text whose characters can be seen, on one line.

    Of others the code stands there, such as ``\x1b``: they would move the cursor, change the colour of what
    follows, turn its direction, or look like another line.
    """
    return "".join(map(_seen, str(text)))


def _seen(sign: str) -> str:
    if sign.isprintable() or unicodedata.category(sign) == "Zs":
        return sign
    return sign.encode("unicode_escape").decode("ascii")
