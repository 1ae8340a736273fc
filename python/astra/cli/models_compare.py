"""``astra models compare``."""

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from astra.cli.console import (
    AsJson,
    absent_as_null,
    database_session,
    examples,
    note,
    say,
    say_json,
    say_table,
)
from astra.cli.progress import progress
from astra.cli.tables import number, table, text
from astra.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from astra.modelling.two_models import ModelComparison

EXAMPLES = examples(
    "astra models compare simulated-6 mine.safetensors",
    "astra models compare simulated-6 mine apStar-*.fits --catalog targets.csv",
    "astra models compare simulated-5 simulated-6 --truth demo/spectra --limit 200",
)

#: Medians of fewer spectra are said to be rough.
FEW = 100

Name = Annotated[str, typer.Argument(help="A name or a path of weights.")]
Files = Annotated[
    list[Path] | None, typer.Argument(metavar="[FILE]...", help="apStar files; default: of the database.")
]
Limit = Annotated[int, typer.Option(min=1, help="Spectra of the database, spread evenly over it.")]
Catalog = Annotated[Path | None, typer.Option(metavar="TABLE", help="A table of the stars of the files.")]
Truth = Annotated[
    Path | None, typer.Option(metavar="DIR", help="A folder of `astra simulate`: compare with the truth.")
]
Seed = Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of the dropout masks of both.")]


def compare(
    first: Name,
    second: Name,
    files: Files = None,
    limit: Limit = 500,
    catalog: Catalog = None,
    truth: Truth = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Measure the same spectra with two models, and say how the distances differ and which is better where.

    Both are computed anew with the same seed, and nothing is written: the database needs no results.
    `astra trials compare` compares whole sets of results that are there, and takes no model. Better is which
    model is closer to Gaia's parallax, or to the truth of a simulation, more often than chance would have it.
    Exit codes: 0 compared; 2 wrong usage, or nothing to compare; 69 database not reachable; 78 a model or
    the database cannot be used.
    """
    from astra.config import load_settings
    from astra.modelling.comparison import read_truth
    from astra.modelling.two_models import compare_models, sample_of_database
    from astra.pipelines.astronn_dist.weights.library import named

    if catalog and not files:
        raise UsageError("--catalog is of the stars of files: name files")
    models_dir = load_settings().models_dir
    paths = [str(named(each, "model", models_dir)) for each in (first, second)]
    known = read_truth(truth) if truth else None
    with nullcontext() if files else database_session():
        if files:
            sides, stars, ids = _of_files(files, catalog, paths, (first, second), seed)
        else:
            sample = sample_of_database(limit)
            sides = []
            for name, path in zip((first, second), paths, strict=True):
                with progress(f"spectra by {name}") as update:
                    sides.append(sample.results(path, update, seed=seed))
            stars, ids = sample.stars(), sample.ids
        found = compare_models((first, second), (sides[0], sides[1]), stars, ids, known)
    if as_json:
        say_json(absent_as_null(found.as_json()))
    else:
        _say(found)


def _of_files(
    files: list[Path], catalog: Path | None, paths: list[str], names: tuple[str, str], seed: int
) -> "tuple[list[Mapping[str, np.ndarray]], dict[str, Any], list[str | None]]":
    """The columns of both models, what is known of the stars, and their APOGEE ids."""
    import numpy as np

    from astra.modelling.two_models import OF_STARS
    from astra.models import AstroNNdist
    from astra.report.paired.pairs import bit_columns, compared_columns
    from astra.stars.direct import How, distances_of_files
    from astra.stars.files import Files as StarFiles

    for file in files:
        if not file.is_file():
            raise UsageError(f"cannot read {file}: it is not a file")
    every = []
    for name, path in zip(names, paths, strict=True):
        with progress(f"stars by {name}") as update:
            how = How(seed=seed, weights=path)
            every.append(distances_of_files(StarFiles(files, {}, catalog), how, update))
    wanted = [*compared_columns(AstroNNdist), *bit_columns(AstroNNdist)]
    sides = [
        {name: np.asarray(getattr(each, name)) for name in wanted if hasattr(each, name)} for each in every
    ]
    unknown = dict.fromkeys(OF_STARS, np.full(len(files), np.nan))
    stars = unknown | {"j_mag": np.asarray(every[0].j_mag), "spectrum_flags": every[0].spectrum_flags}
    return sides, stars, list(every[0].sdss4_apogee_id)


# > Presentation


def _say(found: "ModelComparison") -> None:
    said = {"first": found.first, "second": found.second, "neither": "neither"}
    whole = found.changes.all
    say(f"first:  {found.first}", f"second: {found.second}")
    say(
        f"{found.spectra:,} spectra, {whole.n:,} of them good with both; {found.measured.only_production:,} "
        f"have a result by the first alone, {found.measured.only_trial:,} by the second alone"
    )
    good = found.changes.good
    say(f"good by the first alone {good.only_production:,}, by the second alone {good.only_trial:,}", "")
    made = table(
        "Distance by the second / by the first - 1", ("by", "part", "spectra", "median", "scatter"), (0, 1)
    )
    for part in found.changes.parts:
        cells = (number(part.median, "+.1%"), number(part.scatter, ".1%"))
        made.add_row(text(part.group), text(part.name), f"{part.n:,}", *cells)
    say_table(made)
    say("")
    if found.gaia:
        heads = ("by", "part", "spectra", "first", "second", "closer: second", "better")
        made = table("Pulls against Gaia's parallax; the width is 1 if errors are right", heads, (0, 1, 6))
        for part, better in found.gaia:
            made.add_row(
                *(text(part.group), text(part.name), f"{part.n:,}"),
                *(number(part.production.width, ".2f"), number(part.trial.width, ".2f")),
                *(_share(better.closer, better.e_closer), text(said[better.verdict])),
            )
        say_table(made)
    else:
        say("no good spectrum has a parallax of Gaia with its zero-point to compare with")
    if found.truth:
        say("")
        heads = ("kind", "stars", "|off| 1st", "2nd", "off 1st", "2nd", "closer: 2nd", "better")
        made = table("Distance / true distance - 1, medians of the good stars", heads, (0, 7))
        better_of = {each.name: each for each in found.truth.better}
        for one, other in zip(found.truth.first, found.truth.second, strict=True):
            better = better_of.get(one.kind)
            made.add_row(
                *(text(one.kind), f"{one.stars:,}"),
                *(number(one.scatter, ".1%"), number(other.scatter, ".1%")),
                *(number(one.bias, "+.1%"), number(other.bias, "+.1%")),
                _share(better.closer, better.e_closer) if better else "-",
                text(said[better.verdict] if better else "-"),
            )
        say_table(made)
    note("better: closer for more of the spectra than chance would have it, by two errors of the share")
    if whole.n < FEW:
        note(f"with only {whole.n:,} good spectra, medians and shares are rough")


def _share(value: float, error: float) -> str:
    return "-" if value != value else f"{value:.0%} ± {error:.0%}"
