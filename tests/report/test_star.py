"""The page of one star: honest about its draws, and about what has no number."""

import re

import numpy as np
import pytest

from astra.config import load_settings
from astra.models import AstroNNdist, TaskRun
from astra.report.making import make_report
from astra.report.star_details import Drawing, Draws, read_pixels, read_star
from astra.report.star_page import draw_spectrum

# Where nothing depends on the kind of database, one is enough.
on_sqlite = pytest.mark.parametrize("survey", ["sqlite"], indirect=True)


@on_sqlite
def test_the_draws_of_a_star_are_those_that_made_its_row(survey, first_star):
    detail = read_star(first_star).details[0]
    pixels = read_pixels(detail.spectrum)

    draws = Drawing(load_settings()).draws(detail, pixels.rectified, pixels.e_rectified)

    assert draws.same
    assert draws.fakemag.mean() == pytest.approx(detail.result.L_fakemag, rel=1e-5)
    assert draws.fakemag.std(ddof=1) == pytest.approx(detail.result.e_model_L_fakemag, rel=1e-4)


@on_sqlite
def test_a_row_that_other_pixels_made_is_said_to_differ(survey, first_star, tmp_path):
    AstroNNdist.update(L_fakemag=AstroNNdist.L_fakemag * 1.01).execute()

    make_report(tmp_path / "star.html", load_settings(), first_star)

    assert "their summary differs from the stored row" in (tmp_path / "star.html").read_text()


@on_sqlite
def test_weights_that_are_not_at_hand_are_named(survey, first_star, tmp_path):
    TaskRun.update(weights_sha256="ab" * 32).execute()

    make_report(tmp_path / "star.html", load_settings(), first_star)

    assert "The weights toy (sha256 abababababab…) are not at hand" in (tmp_path / "star.html").read_text()


@on_sqlite
def test_weights_of_a_user_who_has_no_home_here_are_not_at_hand(survey, first_star, tmp_path):
    TaskRun.update(weights_sha256="ab" * 32, arguments='{"weights": "~no-such-user/toy.pt"}').execute()

    make_report(tmp_path / "star.html", load_settings(), first_star)

    assert "The weights toy (sha256 abababababab…) are not at hand" in (tmp_path / "star.html").read_text()


class FixedDrawing:
    """Returns the same draws for every spectrum."""

    def __init__(self, *fakemag):
        self.fixed = Draws(np.array(fakemag), 0.0)

    def draws(self, *_):
        return self.fixed


@on_sqlite
@pytest.mark.parametrize(
    ("fakemag", "absent"),
    [
        ((20.0, 22.0, 0.0), {"M_Ks": 1, "distance": 1}),
        ((20.0, -1.0, np.inf, np.nan), {"L_fakemag": 2, "M_Ks": 3, "distance": 3}),
        ((20.0, 1e-320), {"distance": 1}),
    ],
)
def test_draws_that_are_no_number_are_left_out_and_counted(survey, first_star, fakemag, absent):
    detail = read_star(first_star).details[0]

    text = draw_spectrum(detail, np.nan, "star", FixedDrawing(*fakemag))

    said = {name: int(n) for n, name in re.findall(rf"(\d) of {len(fakemag)} draws have no (\w+)", text)}
    assert said == absent
    assert text.count("<figure") == 5


@on_sqlite
def test_without_any_draw_that_is_a_number_nothing_is_drawn_of_them(survey, first_star):
    text = draw_spectrum(read_star(first_star).details[0], np.nan, "star", FixedDrawing(np.nan, np.inf))

    assert "None of the 2 draws has a M_Ks" in text
    assert text.count("<figure") == 2


@on_sqlite
def test_without_a_magnitude_no_distance_is_shown(survey, first_star, tmp_path):
    AstroNNdist.update(result_flags=AstroNNdist.flag_missing_photometry.value, k_mag=0.0).execute()

    text = draw_spectrum(read_star(first_star).details[0], np.nan, "star", FixedDrawing(20.0, 22.0))

    assert "Draws of M_Ks" in text
    assert "Draws of distance" not in text
    assert re.search(r"<dt>distance \[pc\]</dt><dd>no Ks magnitude</dd>", text)
