"""What docs/operations.md says that the program prints is what it prints, and all that it prints is there.

An error or a warning is documented where its beginning stands, as far as that tells it from all others: in a
block of text, or as code in a table, on this page or on one that it links.
"""

import ast
import re

import pytest
from conftest import ROOT
from messages import NUMBERS, beginning, messages, pattern_of, plain

DOCS = ROOT / "docs"
PAGE = (DOCS / "operations.md").read_text()
PAGES = [PAGE, *((DOCS / name).read_text() for name in sorted(set(re.findall(r"\]\((\w+\.md)", PAGE))))]
# Tables of messages of the program have this head; those of libraries have another one.
TABLES = [
    rows
    for page in PAGES
    for rows in re.findall(r"^\| message \|.*\n\|-.*\n((?:\|.*\n)+)", page, re.MULTILINE)
]
CODE = re.compile(r"``\s?(.+?)\s?``|`([^`]+)`")
ROWS = [
    "".join(code)
    for table in TABLES
    for row in table.splitlines()
    for code in CODE.findall(row.split(" | ")[0])
]
SAID = re.compile(r"^astra: (?:error|WARNING): (.*)$", re.MULTILINE)
MESSAGES = SAID.findall(PAGE)


def _texts() -> str:
    """All that is fixed in the texts of the package; ``…`` stands for what is filled in."""
    found = []
    for path in sorted((ROOT / "python" / "astra").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                found.append("".join(v.value if isinstance(v, ast.Constant) else "…" for v in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(re.sub(r"%\.?\d*[sdf]", "…", node.value))
    return "\n".join(" ".join(text.split()) for text in found)


TEXTS = NUMBERS.sub("…", _texts())
TOLD = messages(ROOT / "python" / "astra")


@pytest.mark.parametrize("message", MESSAGES)
def test_every_message_is_one_of_the_program(message):
    pieces = [piece.strip(" ;:,()") for piece in NUMBERS.sub("…", message).split("…")]
    pieces = [piece for whole in pieces for piece in re.split(r"; |: | \(", whole) if len(piece) > 8]

    assert pieces
    for piece in pieces:
        assert piece in TEXTS or _is_made_of_two(piece), piece


@pytest.fixture(scope="module")
def known():
    """By the place where it is made, patterns of what tells each message from all others."""
    found = {}
    for place, texts in TOLD.items():
        others = [text for at in TOLD if at != place for text in TOLD[at]]
        found[place] = [pattern_of(beginning(text, others)) for text in texts]
    return found


def _meant(line, known):
    """Where a message is made; of several places that fit, those with the most words of their own."""
    fitting = {
        place: max((len(pattern.pattern) for pattern in patterns if pattern.match(plain(line))), default=0)
        for place, patterns in known.items()
    }
    return {place for place, length in fitting.items() if 0 < length == max(fitting.values())}


def test_every_error_and_warning_of_the_program_is_documented(known):
    said = [line for page in PAGES for line in SAID.findall(page)]
    documented = {place for line in (*said, *ROWS) for place in _meant(line, known)}

    assert len(known) > 100
    missing = [f"{at}: {TOLD[at][0]}" for at in known if at not in documented]
    assert not missing, "\n".join(missing)


def test_every_message_in_a_table_is_one_of_the_program(known):
    assert len(ROWS) > 100
    assert [row for row in ROWS if not _meant(row, known)] == []


def _is_made_of_two(piece):
    """Whether a text is filled in from another: "rows come from {word}"."""
    words = piece.split()
    cuts = range(1, len(words))
    return any(" ".join(words[:cut]) in TEXTS and " ".join(words[cut:]) in TEXTS for cut in cuts)


def test_every_exit_code_of_the_program_has_its_line():
    from astra.errors import AstraError
    from astra.running.ending import KEYBOARD_INTERRUPT
    from astra.status.limits import LIMIT_BROKEN

    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}
    raised = {kind.exit_code for kind in (AstraError, *AstraError.__subclasses__())}

    assert documented == raised | {0, LIMIT_BROKEN, KEYBOARD_INTERRUPT}


def test_the_sample_of_the_doctor_has_a_line_for_each_check():
    from astra.doctor.checkup import CHECKS

    sample = PAGE.split("## Before a run")[1].split("```text\n")[1].split("```")[0]

    assert list(dict.fromkeys(line.split()[1] for line in sample.splitlines())) == [n for n, *_ in CHECKS]


def test_links_within_the_page_lead_somewhere():
    headings = re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}

    assert set(re.findall(r"\]\(#([^)]*)\)", PAGE)) <= anchors
