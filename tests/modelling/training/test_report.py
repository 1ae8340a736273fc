"""The report of a training: a page that needs nothing else, says what is so, and is the same each time."""

import re
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from browser import Opened
from hypothesis import given
from hypothesis import strategies as st

from astra.errors import ConfigError, UsageError
from astra.modelling.simulator.stars import KINDS
from astra.modelling.training.evaluate import ALL, LEAST_SNR, agreement, evaluate
from astra.modelling.training.loop import Epoch
from astra.modelling.training.report.data import Report, bins_of, running, scale
from astra.modelling.training.report.tables import details
from astra.modelling.training.report.writing import check_available, report_path, write_report
from astra.report.page import number

N = 400
HISTORY = tuple(Epoch(n, 2 - 0.3 * n, 1.9 - 0.2 * n, 0.4 / n, 1e-3 / n, 60.0) for n in (1, 2, 3))
VOID = {"br", "meta"}
SHA256 = "5e" * 32


def simulated(n=N):
    """Stars of two classes with errors of a tenth, honestly stated; every fifth has a companion."""
    generator = np.random.default_rng(3)
    true = 10 ** generator.uniform(0.5, 2.5, n)
    ratio = np.where(np.arange(n) % 5 == 0, generator.uniform(0.1, 1, n), 0.0)
    return Report(
        name="toy",
        sha256=SHA256,
        details={
            "version": "1.2.3",
            "range": "stars that are toys",
            "validity": {"excess": [0.01, 0.03], "relative_error": [0.0, 1.0]},
            "trained_on": {"stars": 1234567, "conditions": {"noise": True, "snr": [20.0, 500.0]}},
        },
        history=HISTORY,
        best_epoch=2,
        true=true,
        e_true=np.zeros(n),
        kind=np.where(np.arange(n) % 2, "rgb", "dwarf"),
        snr=10 ** generator.uniform(1.3, 2.7, n),
        fakemag=true * (1 + 0.1 * generator.standard_normal(n)),
        e_fakemag=0.1 * true,
        e_model_fakemag=0.04 * true,
        flux_ratio=ratio,
        teff=generator.uniform(4000, 6500, n),
        logg=generator.uniform(1, 5, n),
        excess=generator.gamma(3, 0.002, n),
    )


def measured(n=N):
    """The same stars with labels from parallaxes, of which some are negative."""
    generator = np.random.default_rng(5)
    whole = simulated(n)
    error = whole.true * np.exp(generator.normal(-1, 1, n))
    labels = whole.true + error * generator.standard_normal(n)
    absent = dict.fromkeys(("flux_ratio", "teff", "logg", "excess"))
    return replace(whole, true=labels, e_true=error, kind=np.full(n, ""), details={}, **absent)


class Page(HTMLParser):
    """What a browser finds: every tag with its attributes, the text, the tables."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.text, self.styles, self.rows = [], [], "", "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if "style" in self.open:
            self.styles += data
        if {"td", "th"} & set(self.open[-2:]):
            self.rows[-1][-1] += data

    def row(self, first):
        return next(row for row in self.rows if row[0] == first)


def written(report, folder):
    path = folder / "a.report.html"
    write_report(path, report)
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """The page of the simulated stars."""
    return written(simulated(), tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def found(text):
    return Page(text)


# > The page


def test_a_page_needs_no_network_and_runs_no_script_but_its_own(found):
    scripts = [attrs for tag, attrs in found.tags if tag == "script" and "type" not in attrs]
    links = [attrs[name] for _, attrs in found.tags for name in ("href", "src") if name in attrs]
    policy = next(attrs["content"] for _, attrs in found.tags if "http-equiv" in attrs)

    assert len(scripts) == 2
    assert links
    assert all(link.startswith("#") for link in links)
    assert not {"link", "iframe", "object", "embed", "base", "img"} & {tag for tag, _ in found.tags}
    assert "@import" not in found.styles
    assert "url(" not in found.styles
    assert policy.startswith("default-src 'none'")
    assert policy.count("sha256-") == 2


def test_a_page_is_whole_and_its_names_and_headings_are_in_order(found):
    ids = [attrs["id"] for _, attrs in found.tags if "id" in attrs]
    headings = [tag for tag, _ in found.tags if re.fullmatch("h[1-6]", tag)]
    anchors = [attrs["href"][1:] for tag, attrs in found.tags if tag == "a"]

    assert found.open == []
    assert len(ids) == len(set(ids))
    assert headings == ["h1", *["h2"] * (len(headings) - 1)]
    assert anchors[0] == "content"  # to skip the contents, which follow
    assert len(anchors) == len(headings)
    assert set(anchors) <= set(ids)


def test_every_figure_says_in_words_what_it_shows(found):
    figures = [attrs for tag, attrs in found.tags if tag == "figure"]

    assert len(figures) == 10
    assert all(attrs["role"] == "group" and len(attrs["aria-label"]) > 30 for attrs in figures)


def test_figures_follow_the_colours_of_the_page_in_light_and_in_dark(text):
    assert "prefers-color-scheme: dark" in text
    for follows in ("line_color=ink", "fill_color=point", "line_color=class-1", "palette=errors"):
        assert follows in text
    assert "color: var(--class-1)" in text  # of the legend


def test_every_class_that_is_simulated_has_a_colour(tmp_path):
    kinds = np.resize(KINDS, N)

    text = written(replace(simulated(), kind=kinds), tmp_path)

    assert all(f"var(--class-{number})" in text for number in range(1, len(KINDS) + 1))


def test_the_table_holds_the_metrics_of_single_stars_class_by_class(found):
    single = simulated().single
    expected = evaluate(single.kind, single.true, single.fakemag, single.e_fakemag, single.snr)

    for name, kind in (("red giants", "rgb"), ("FGK dwarfs", "dwarf"), ("all", ALL)):
        metrics = expected[kind]
        row = found.row(name)
        assert row[1] == f"{metrics.n}"
        assert float(row[2].replace("−", "-")) == pytest.approx(metrics.median_r, abs=5e-4)
        assert float(row[3]) == pytest.approx(metrics.median_abs_r, abs=5e-4)
        assert float(row[6]) == pytest.approx(metrics.pull_width, abs=5e-3)
        assert row[8] == f"{100 * metrics.flagged:.1f} %"


def test_a_second_table_holds_those_that_the_figures_of_the_file_are_for(found):
    single = simulated().single
    bright = single.take(single.snr >= LEAST_SNR)

    assert 0 < len(bright) < len(single)
    numbers = [row[1] for row in found.rows if row[0] == "red giants"]
    assert numbers[:2] == [str((each.kind == "rgb").sum()) for each in (single, bright)]


def test_a_page_says_what_was_made_how_and_how_to_use_it(found):
    for said in ("toy", SHA256, "1.2.3", "stars that are toys", "Epoch 2 of 3"):
        assert said in found.text
    assert found.row("noise")[1] == "yes"
    assert found.row("snr")[1] == "20, 500"
    assert "astra run astronn_dist --weights ./toy.safetensors" in found.text
    assert found.row("0.03") == ["0.03", "1"]


def test_labels_with_errors_are_shown_in_linear_space_and_what_is_unknown_is_left_out(tmp_path):
    report = measured()

    page = Page(written(report, tmp_path))

    titles = [attrs["id"] for tag, attrs in page.tags if tag == "section"]
    assert "labels" in titles
    assert not {"kiel", "binaries", "validity"} & set(titles)
    assert f"{100 * (report.true <= 0).mean():.1f} %" in page.text
    assert "{:.3f} ± {:.3f}".format(*scale(report)) in page.text
    assert page.row("all")[1] == f"{N}"


@pytest.mark.parametrize("report", [simulated(), measured(3), simulated(1)], ids=["many", "three", "one"])
def test_every_figure_is_drawn_in_a_browser_without_a_fault(chromium, report, tmp_path):
    written(report, tmp_path)

    opened = Opened(chromium, tmp_path / "a.report.html")

    assert opened.faults == []
    assert all(url.startswith(("file:", "data:")) for url in opened.requests)
    opened.page.close()


# > Always the same, and nothing else touched


def test_the_same_inputs_give_the_same_bytes_whatever_was_drawn_before(text, tmp_path):
    assert written(simulated(), tmp_path) == text


def test_what_a_file_says_cannot_become_part_of_the_page(tmp_path):
    bad = '<script>"&\x07\ud800'
    kind = np.full(3, "<script>$x$")
    report = replace(measured(3), name=bad, details={bad: {bad: bad}, "range": bad}, kind=kind)

    page = Page(written(report, tmp_path))

    assert sum(tag == "script" and "type" not in attrs for tag, attrs in page.tags) == 2
    assert page.row('<script>"&\\x07\\ud800')[1] == '<script>"&\\x07\\ud800'
    assert "<script>$x$ (3)" in page.text


@pytest.mark.parametrize(
    "change",
    [
        lambda report: report.take(np.arange(0)),
        lambda report: report.take(np.arange(1)),
        lambda report: replace(report, fakemag=np.full(N, np.nan)),
        lambda report: replace(report, e_fakemag=np.zeros(N), excess=np.full(N, np.inf)),
    ],
    ids=["no star", "one star", "no prediction", "no error and no resemblance"],
)
def test_a_page_is_made_of_whatever_came_out(change, tmp_path):
    page = Page(written(change(simulated()), tmp_path))

    assert page.open == []


# > What can go wrong


def test_without_bokeh_a_training_is_refused_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "bokeh", None)

    with pytest.raises(
        ConfigError, match=r"^the report .* needs bokeh: pip install 'astra-distances\[train\]'$"
    ):
        check_available()


def test_a_report_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    path = report_path(tmp_path / "made" / "made.safetensors")
    path.mkdir(parents=True)

    with pytest.raises(UsageError, match="cannot replace .*made.report.html: it is not a file"):
        write_report(path, replace(simulated(1), history=()))

    assert list(path.parent.iterdir()) == [path]


# > Numbers


@given(
    x=st.lists(st.floats(-1e3, 1e3) | st.just(np.nan), max_size=60),
    most=st.integers(1, 8),
    fewest=st.integers(1, 8),
)
def test_bins_hold_each_star_once_in_order_and_enough_of_them(x, most, fewest):
    x = np.array(x, float)

    parts = bins_of(x, most=most, fewest=fewest)

    finite = np.isfinite(x).sum()
    assert len(parts) == min(most, finite // fewest)
    assert all(len(part) >= fewest for part in parts)
    if parts:
        order = np.concatenate(parts)
        assert len(set(order)) == len(order) == finite
        assert (np.diff(x[order]) >= 0).all()


def test_the_running_half_width_of_normal_errors_is_their_standard_deviation():
    generator = np.random.default_rng(1)
    x = generator.uniform(0.05, 0.5, 40_000)

    trend = running(x, x * generator.standard_normal(len(x)), most=8)

    assert trend.half_width == pytest.approx(trend.x, rel=0.08)
    assert (trend.low < trend.median).all()
    assert (trend.median < trend.high).all()


def test_the_scale_is_that_of_the_metrics_and_negative_labels_do_it_no_harm():
    report = measured()
    columns = (report.fakemag, report.e_fakemag, report.true, report.e_true, 1.0)
    expected = agreement(*columns)

    assert scale(report) == pytest.approx((expected["scale"], expected["e_scale"]))
    assert np.isnan(scale(report.take(np.arange(0)))).all()


def test_numbers_have_a_real_minus_sign_and_none_has_a_dash():
    assert number(-0.0123, "+.3f") == "−0.012"
    assert number(-0.0001, "+.3f") == "+0.000"
    assert number(float("nan")) == number(None) == "–"


def test_details_show_every_value_and_shorten_long_lists():
    single, [(name, group)] = details(
        {"empty": {}, "none": None, "flag": False, "long": list(range(99)), "in": {"a": {"b_c": 1}}}
        | {"pair": (-0.5, 20.0)}
    )

    said = {name: value for _, name, value in single}
    assert (said["empty"], said["none"], said["flag"]) == ("none", "none", "no")
    assert said["long"].endswith("39, … (99 in all)")
    assert said["pair"] == "−0.5, 20"
    assert (name, group) == ("in", [(0, "a", ""), (1, "b c", "1")])
