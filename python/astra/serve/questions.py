"""The queries of docs/sql.md, by their headings.

The page is where they are: people read it, and the tests ask every query on both databases. The package takes
it along as it is (``questions.md`` is a link to it), so that no query is written down twice.
"""

import re
from importlib.resources import files
from typing import NamedTuple

_SECTION = re.compile(
    r"^### (?P<heading>.+)\n(?P<text>(?:(?!#|```).*\n)*)```sql\n(?P<sql>(?:(?!```).*\n)+)```", re.MULTILINE
)
_LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")
# What only says where to read on leads nowhere from here.
_READ_ON = re.compile(rf"(?<=\.) {_LINK.pattern}\.|; {_LINK.pattern}")


class Question(NamedTuple):
    """One query: what it answers, in the words of the page, and its SQL."""

    heading: str
    text: str
    sql: str

    @property
    def name(self) -> str:
        """Its heading as a part of an address, e.g. ``a_cone_on_the_sky``."""
        return re.sub(r"\W+", "_", self.heading.lower().replace("'", "")).strip("_")


def questions() -> list[Question]:
    """The queries that are one statement and only read, in the order of the page."""
    page = files("astra.serve").joinpath("questions.md").read_text(encoding="utf-8")
    found = (Question(**match.groupdict()) for match in _SECTION.finditer(page))
    plain = (
        Question(heading, _in_words(text), sql.strip().removesuffix(";")) for heading, text, sql in found
    )
    return [question for question in plain if ";" not in question.sql]


def _in_words(text: str) -> str:
    """Markdown as one line of plain text."""
    one_line = " ".join(text.split()).replace("`", "")
    return re.sub(":$", ".", _LINK.sub(r"\1", _READ_ON.sub("", one_line)))
