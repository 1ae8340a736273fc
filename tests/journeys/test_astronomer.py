"""The first ten minutes of an astronomer with some files."""

import re

import pytest
from conftest import ROOT

from documents import blocks


def test_the_distance_of_one_star_is_that_of_the_first_page(type_in):
    [sample] = [block.text for block in blocks("README.md", "text")]
    [command] = [
        line
        for block in blocks("README.md", "sh")
        for line in block.text.splitlines()
        if "distance" in line and line.startswith("astra")
    ]

    shown = type_in(*command.split()[1:])

    assert shown[-8:-1] == sample.splitlines()
    assert shown[-1] == "weights simulated-6, seed 0; errors are one standard deviation"


def test_22_files_are_a_table_and_what_is_wrong_stands_below(type_in, measured):
    names = [path.name for path in sorted((measured / "demo/spectra").glob("apStar-*.fits"))[:22]]

    shown = type_in(
        "distance", *(f"demo/spectra/{name}" for name in names), "--catalog", "demo/spectra/targets.csv"
    )

    [head] = [number for number, line in enumerate(shown) if line.startswith("star")]
    rows = shown[head + 1 : head + 23]
    assert [row.split()[0] for row in rows] == [name[12:-5] for name in names]
    assert all(row.split()[-1] in ("clean", "good", "bad") for row in rows)
    assert all(len(row) <= 80 for row in rows)
    assert any("unreliable" in line for line in shown[head + 23 :])


def test_a_star_can_be_asked_for_in_lower_case_with_all_that_is_known_of_it(type_in, measured):
    name = sorted((measured / "first").glob("*.fits"))[4].stem.removeprefix("apStar-dr17-")

    shown = "\n".join(type_in("show", name.lower()))

    assert shown.startswith(name)
    for label in ("position", "2MASS", "extinction", "parallax", "spectrum apstar/", "distance", "quality"):
        assert re.search(rf"^ *{label}", shown, re.MULTILINE), label
    assert "simulated: there is no such star on the sky" in shown


def test_rows_are_chosen_by_what_is_computed(type_in, measured):
    shown = type_in(
        "query",
        "--where",
        "good and e_dist/dist < 0.15",
        "--columns",
        "obj, dist, e_dist/dist as relative",
        "--order",
        "dist",
    )

    rows = [line.split() for line in shown if line.startswith("2M")]
    assert rows
    assert [float(dist) for _, dist, _ in rows] == sorted(float(dist) for _, dist, _ in rows)
    assert all(float(relative) < 0.15 for *_, relative in rows)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("shwo", "x"), "did you mean show?"),
        (("query", "--wehre", "good"), "did you mean --where?"),
        (("query", "--where", "dits > 3"), "did you mean dist"),
    ],
)
def test_a_slip_of_the_finger_is_met_with_the_right_word(type_in, measured, words, meant):
    assert meant in "".join(type_in(*words, code=2))  # the terminal breaks lines anywhere


def test_the_catalogue_opens_without_an_argument(type_in, measured):
    from astropy.table import Table

    type_in("create", "astraAllStarAstroNNdist", "--output", "all.fits", "--overwrite")

    table = Table.read(measured / "all.fits")
    assert len(table) == 22
    assert {"dist", "e_dist"} <= {*table.colnames}
    assert str(table["dist"].unit) == "pc"


def test_the_readme_is_short_and_has_a_picture():
    text = (ROOT / "README.md").read_text()

    assert len(text.splitlines()) < 100
    [picture] = re.findall(r"!\[[^]]+\]\(([^)]+\.png)\)", text)
    assert (ROOT / picture).stat().st_size < 300_000
