"""What others have written is shown so that nothing of it is obeyed, by a terminal or by a spreadsheet."""

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astra.system.printable import in_a_spreadsheet, printable


@given(st.text())
def test_text_is_one_line_of_signs_that_can_be_seen(text):
    assert printable(text).replace("\u3000", " ").isprintable() or set(printable(text)) & set("\xa0\u2003")
    assert len(printable(text).splitlines()) <= 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("dr17/stars/Ω Cen ½", "dr17/stars/Ω Cen ½"),
        ("a\x1b[2Jb\x9b31m", r"a\x1b[2Jb\x9b31m"),
        ("one\r\ntwo\u2028three", r"one\r\ntwo\u2028three"),
        ("apStar\u202efits", r"apStar\u202efits"),
        ("not UTF-8: \udcff", r"not UTF-8: \udcff"),
    ],
)
def test_other_signs_are_shown_by_their_codes(text, shown):
    assert printable(text) == shown


@given(st.text(st.sampled_from("=+-@＝＋－＠ \t\r\n\x00,\"'a1")))
def test_no_cell_is_a_formula(text):
    stream = io.StringIO(newline="")
    csv.writer(stream).writerow([in_a_spreadsheet(text)])

    ((cell,),) = csv.reader(io.StringIO(stream.getvalue(), newline="")) if text else [("",)]
    is_harmless = re.fullmatch(r"\s*([=+@-]|[+-]\d+)\s*", cell)
    assert is_harmless or not cell.strip().startswith(tuple("=+-@＝＋－＠"))


@pytest.mark.parametrize(
    "value", [None, -1.5, -3, True, "2M00000000+0000000", "AP00000000-0000000", "", "-", "-9999", "+1.5e-3"]
)
def test_what_is_no_formula_stays_in_its_cell(value):
    assert in_a_spreadsheet(value) is value
