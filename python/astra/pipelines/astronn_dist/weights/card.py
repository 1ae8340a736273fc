"""The card of a model, as Markdown: what it is, what it learnt from, how its own test went.

It says what the file says: a model that states nothing has a card that says so.

A claim needs a test. The half-width of the middle 68 % of n normal errors is itself uncertain by
``0.96 / sqrt(n)`` of it (the variance of two sample quantiles, e.g. Kendall & Stuart, The Advanced Theory of
Statistics 1, 14.2), and their median by ``1.25 / sqrt(n)`` of their scatter. With ``FEWEST`` test stars that
is 10 % and an eighth: the least at which a figure tells a good model from one half as good again. Of 25 stars
it would be 19 %, and one of them beyond three errors would be 4 %.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from astra.pipelines.astronn_dist.weights.files import Weights

#: Of fewer test stars of a class, nothing is claimed.
FEWEST = 100

#: In the details of a model: what its training says of its stars.
SAW = "saw"

#: The uncertainty of a half-width of so few, as a part of it.
UNCERTAIN = 0.96 / FEWEST**0.5

#: In the details: of each group of test stars (single, with companion, …), the figures by class.
METRICS = "metrics"

_FIGURES = {
    "n": ("stars", "{:,}"),
    "median_abs_r": ("median \\|r\\|", "{:.1%}"),
    "median_r": ("median r", "{:+.1%}"),
    "half_width_r": ("half-width of r", "{:.1%}"),
    "pull_width": ("width of pulls", "{:.2f}"),
    "flagged": ("flagged", "{:.0%}"),
}


def card(weights: Weights) -> str:
    """The card, ending with a line end."""
    return "\n\n".join(_parts(weights)) + "\n"


def _parts(weights: Weights) -> Iterator[str]:
    details = weights.details
    yield f"# Model {weights.name}"
    yield _clean(details.get("description") or "Its maker does not describe it.")
    facts = {
        "sha256": f"`{weights.sha256}`",
        "made by": f"astra {details['version']}" if "version" in details else "not stated",
        "seed": details.get("seed", "not stated"),
        "widens the error of unusual spectra": "yes" if weights.validity else "no",
        "corrected by luminosity and S/N": "yes" if weights.calibration else "no",
        "knows what missing pixels cost": "yes" if weights.missing else "no",
    }
    yield "\n".join(
        ["|   |   |", "|---|---|", *(f"| {key} | {_clean(value)} |" for key, value in facts.items())]
    )
    yield "## Range of validity"
    by = " (stated by whoever imported it)" if "range" in details.get("stated_by_importer", ()) else ""
    yield _clean(weights.range or "not stated") + by
    yield "## Learnt from"
    yield from _learnt(details)
    yield "## Its own test"
    yield from _tested(details)


def _learnt(details: Mapping[str, Any]) -> Iterator[str]:
    saw = details.get(SAW)
    if saw is None:
        trained_on = details.get("trained_on") or {}
        number = trained_on.get("stars")
        number = number.get("training") if isinstance(number, Mapping) else number
        yield f"{number:,} stars; their kinds are not stated." if isinstance(number, int) else "Not stated."
        return
    number = saw["training"]["stars"]
    spectra, others = saw["training"]["spectra"], saw["test"]["stars"]
    yield f"{number:,} stars, {spectra:,} spectra; tested with {others:,} other stars."
    if number < FEWEST:
        yield f"*{number:,} stars are too few to learn from: of fewer than {FEWEST} nothing is claimed.*"
    if kinds := saw["training"]["by_class"]:
        tested = saw["test"]["by_class"]
        rows = [f"| {_clean(kind)} | {count:,} | {tested.get(kind, 0):,} |" for kind, count in kinds.items()]
        yield "\n".join(["| class | learnt from | tested |", "|---|---:|---:|", *rows])
    rows = [f"| {_clean(name)} | {low:g} | {high:g} |" for name, (low, high) in saw["ranges"].items()]
    yield "\n".join(["| what they cover | 1 % below | 99 % below |", "|---|---:|---:|", *rows])


def _tested(details: Mapping[str, Any]) -> Iterator[str]:
    groups = {
        name: group
        for name, group in details.get(METRICS, {}).items()
        if isinstance(group, Mapping)
        and all(isinstance(entry, Mapping) for entry in group.values())
        and group
    }
    test = details.get(METRICS, {}).get("test", {})
    if "scale" in test:
        precise = test["number_precise"]
        yield (
            f"{test['number']:,} spectra with parallaxes: labels are {test['scale']:.3f} ± "
            f"{test['e_scale']:.3f} times the predictions, and the pulls are {test['pull_width']:.2f} wide."
        )
        yield f"{precise:,} have a precise parallax" + (
            f": too few to claim how exact a distance is ({FEWEST} are needed)."
            if precise < FEWEST
            else f"; their labels scatter by {test['scatter']:.1%} about the predictions."
        )
        return
    if not groups:
        yield "The file states no figures by class."
        return
    yield "r = distance / true distance − 1. A pull is the error divided by the one that was stated."
    for name, group in sorted(groups.items(), key=lambda item: item[0] != "single"):
        heads = ["class", *(head for head, _ in _FIGURES.values())]
        rows = [_row(kind, entry) for kind, entry in sorted(group.items(), key=lambda item: item[0] == "all")]
        head = f"| {' | '.join(heads)} |\n|---|{'---:|' * len(_FIGURES)}"
        yield f"Test stars, {_clean(name)}:\n\n{head}\n" + "\n".join(rows)
    if any(entry["n"] < FEWEST for group in groups.values() for entry in group.values()):
        yield (
            f"*Too few: of fewer than {FEWEST} test stars nothing is claimed. Of so few, a half-width is "
            f"uncertain by more than {UNCERTAIN:.0%} of itself.*"
        )


def _row(kind: str, entry: Mapping[str, Any]) -> str:
    cells = [form.format(entry[name]) if name in entry else "–" for name, (_, form) in _FIGURES.items()]
    mark = " *(too few)*" if entry["n"] < FEWEST else ""
    return f"| {_clean(kind)}{mark} | {' | '.join(cells)} |"


def _clean(text: Any) -> str:
    """Text that stays in its cell, whoever wrote it into a file."""
    return "".join(sign if sign.isprintable() else " " for sign in str(text)).replace("|", "\\|")
