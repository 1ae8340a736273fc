"""What docs/operations.md says that the program prints is what it prints."""

import ast
import re

import pytest
from conftest import ROOT

PAGE = (ROOT / "docs" / "operations.md").read_text()
MESSAGES = re.findall(r"^astra: (?:error|WARNING): (.*)$", PAGE, re.MULTILINE)
NUMBERS = re.compile(r"\d[\d.:T-]*|SIG[A-Z]+|\"astra_\w+\"")


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


@pytest.mark.parametrize("message", MESSAGES)
def test_every_message_is_one_of_the_program(message):
    pieces = [piece.strip(" ;:,()") for piece in NUMBERS.sub("…", message).split("…")]
    pieces = [piece for whole in pieces for piece in re.split(r"; |: | \(", whole) if len(piece) > 8]

    assert pieces
    for piece in pieces:
        assert piece in TEXTS or _is_made_of_two(piece), piece


def _is_made_of_two(piece):
    """Whether a text is filled in from another: "rows come from {word}"."""
    words = piece.split()
    cuts = range(1, len(words))
    return any(" ".join(words[:cut]) in TEXTS and " ".join(words[cut:]) in TEXTS for cut in cuts)


def test_every_exit_code_of_the_program_has_its_line():
    from astra.errors import AstraError
    from astra.status.limits import LIMIT_BROKEN
    from astra.system.signals import KEYBOARD_INTERRUPT

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
