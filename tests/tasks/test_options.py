"""The keyword-only parameters of a task are its options: declared once, checked everywhere."""

import json
import math
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

import astra
from astra import Option
from astra.errors import UsageError
from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist
from astra.pipelines.astronn_dist import astronn_dist
from astra.tasks.contract import Provenance


class Line(StrEnum):
    """Lines of hydrogen."""

    ALPHA = "alpha"
    BETA = "beta"


SEEN = []


@astra.task
def many(
    spectra: Iterable[ApogeeCoaddedSpectrumInApStar],
    *,
    depth: Annotated[int, Option("Depth.", min=1, max=9)] = 1,
    width: Annotated[float, Option(min=0)] = 0.5,
    deep: bool = True,
    label: str | None = None,
    template: Annotated[Path | None, Option(changes_numbers=False)] = None,
    mode: Literal["fast", "good"] = "fast",
    line: Line = Line.ALPHA,
) -> Iterator[AstroNNdist]:
    """Measure many things.

    Args:
        spectra: Spectra.
        width: Width of the line,
            with wings [Angstrom].
        deep, label: Two of which this says the ``same``.

    Yields:
        mode: A row, not an option.
    """
    SEEN.append((depth, width, deep, label, template, mode, line))
    yield from ()


DEFAULTS = {"deep": True, "depth": 1, "label": None, "line": "alpha", "mode": "fast", "width": 0.5}


def _declared(annotation, *default):
    """Make a task with one option of this kind."""

    def toy(spectra: Iterable[ApogeeCoaddedSpectrumInApStar], *, size) -> Iterator[AstroNNdist]:
        yield from ()

    if annotation is not None:
        toy.__annotations__["size"] = annotation
    if default:
        toy.__kwdefaults__ = {"size": default[0]}
    return astra.task(toy).options["size"]


def test_help_stands_in_the_annotation_or_under_args_in_the_docstring():
    assert {name: each.declared.help for name, each in many.options.items()} == {
        "depth": "Depth.",
        "width": "Width of the line, with wings [Angstrom].",
        "deep": "Two of which this says the `same`.",
        "label": "Two of which this says the `same`.",
        "template": None,
        "mode": None,
        "line": None,
    }


@pytest.mark.parametrize(
    ("annotation", "default", "says"),
    [
        (int, (), "task toy: its option size has no default"),
        (None, (1,), "task toy: its option size is not annotated: take int, float"),
        (list[int], ([],), r"option size is annotated as list\[int\]: take int, float"),
        (int | str, (1,), r"option size is annotated as int \| str"),
        (Literal[1, 2], (1,), "option size is annotated as"),
        (int, (None,), "option size has a default that it refuses: size=None: give an integer"),
        (Annotated[int, Option(min=2)], (1,), "refuses: size=1: give an integer >= 2"),
        (
            Annotated[str, Option(min=2)],
            ("a",),
            "option size has min or max, which are for numbers: leave them out",
        ),
        (float, (math.inf,), "size=inf: give a finite number"),
    ],
)
def test_what_cannot_be_an_option_fails_at_import_and_is_named(annotation, default, says):
    with pytest.raises(TypeError, match=says):
        _declared(annotation, *default)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"depth": 0}, r"task many: depth=0: give an integer >= 1 and <= 9 \(Depth.\)"),
        ({"depth": 10}, "depth=10"),
        ({"depth": True}, "depth=True"),
        ({"depth": 1.0}, r"depth=1\.0: give an integer"),
        ({"width": math.nan}, "width=nan: give a finite number >= 0"),
        ({"width": 10**400}, "width=1000"),
        ({"deep": 1}, "deep=1: give True or False"),
        ({"label": 3}, "label=3: give a text or None"),
        ({"mode": "best"}, "mode='best': give one of fast, good"),
        ({"mode": None}, "mode=None"),
        ({"line": "gamma"}, "line='gamma': give one of alpha, beta"),
    ],
)
def test_a_value_that_an_option_does_not_take_is_refused_before_any_row(given, says):
    with pytest.raises(UsageError, match=says):
        many([], **given)


def test_an_unknown_option_is_a_type_error_at_once():
    with pytest.raises(TypeError, match=r"many\(\) has no option 'deph'; it has depth, width, deep, label"):
        many([], deph=3)


def test_the_task_gets_its_options_in_the_types_that_it_declares():
    SEEN.clear()

    list(many([], width=2, label=Path("a"), template="/t", line="beta"))

    ((depth, *rest),) = SEEN
    assert depth == 1
    assert rest == [2.0, True, "a", Path("/t"), "fast", Line.BETA]
    assert [type(value) for value in rest] == [float, bool, str, type(Path()), str, Line]


def test_provenance_holds_the_options_in_force_that_change_numbers():
    assert json.loads(many.provenance({}).options) == DEFAULTS
    given = {"template": "/t", "line": Line.BETA, "width": 2}
    assert json.loads(many.provenance(given).options) == DEFAULTS | {"line": "beta", "width": 2.0}
    assert list(json.loads(many.provenance({}).options)) == sorted(DEFAULTS)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "depth": st.integers(1, 9),
            "width": st.floats(0, allow_infinity=False),
            "deep": st.booleans(),
            "label": st.none() | st.text(),
            "line": st.sampled_from(Line),
        },
    )
)
def test_what_is_recorded_of_options_is_read_as_they_were(options):
    assert many.options_of(many.provenance(options).options) == DEFAULTS | options


def test_what_a_record_does_not_say_was_as_by_default():
    assert many.options_of(None) == DEFAULTS
    assert many.options_of('{"depth": 3, "of_an_older_version": 1}') == DEFAULTS | {"depth": 3}


def test_what_a_task_says_of_itself_is_not_recorded_twice():
    @astra.task
    def seeded(
        spectra: Iterable[ApogeeCoaddedSpectrumInApStar], *, seed: int = 0, depth: int = 1
    ) -> Iterator[AstroNNdist]:
        yield from ()

    assert seeded.provenance({"seed": 3}).options == '{"depth": 1, "seed": 3}'
    seeded.identified_by(lambda seed=0, **_: Provenance(seed=seed))
    assert seeded.provenance({"seed": 3}) == Provenance(seed=3, options='{"depth": 1}')


def test_the_distance_task_records_what_rectified(toy_weights):
    named = astronn_dist.provenance({"weights": toy_weights, "n_draws": 5, "device": "cpu"})
    upstreams = astronn_dist.provenance({"model_path": toy_weights, "backend": "astronn"})

    assert (named.n_draws, named.options) == (5, '{"backend": "astra"}')
    assert (upstreams.weights_sha256, upstreams.options) == (named.weights_sha256, '{"backend": "astronn"}')
    with pytest.raises(UsageError, match="n_draws=1: give an integer >= 2"):
        astronn_dist([], n_draws=1)
