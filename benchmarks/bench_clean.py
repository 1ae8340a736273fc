"""What `good` and `clean` keep and lose, on a simulated survey whose true distances are known.

    python benchmarks/bench_clean.py ../shared/data --grids WHEEL --stars 6144 --draws 50
    python benchmarks/bench_clean.py ../shared/data --predictions build/clean.npz   # measured once, then read

The stars are drawn, observed and measured as by `astra simulate` and `astra run`, with the model in force.
Their 2MASS qualities are those of a good source, and their E(B-V) is as measured, not the true one. Then Ks,
or J, H and Ks, are swapped among the stars. The tables are those of docs/clean.md.
"""

import argparse
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from astropy.table import Table

from astra.modelling.simulator.compact import choose_simulator, load
from astra.modelling.simulator.masks import read_patterns
from astra.modelling.simulator.observables import draw_observables
from astra.modelling.simulator.sample import CHUNK, Sample, simulate, simulate_chunks
from astra.modelling.simulator.simulator import Conditions
from astra.modelling.simulator.stars import KINDS
from astra.models import Source
from astra.pipelines.astronn_dist.distances.clean import Criterion, judge
from astra.pipelines.astronn_dist.distances.distance import Stars, unreliable
from astra.pipelines.astronn_dist.distances.results import derive
from astra.pipelines.astronn_dist.estimating import Model, load_model
from astra.spectra.combined import CombinedSpectrum
from astra.spectra.coverage import coverage_of
from astra.spectra.grid import BADPIX, DETECTORS
from astra.spectra.rectify import rectify

#: Distances are wrong from these factors on.
WRONG, BY_TWO = 1.3, 2.0
_RELEASES = {
    "complete": (),
    "DR17: no qualities, no RUWE, no origin of E(B-V)": ("ph_qual", "cc_flg", "ruwe", "ebv_flags", "e_ebv"),
    "DR19: no qualities, no RUWE": ("ph_qual", "cc_flg", "ruwe"),
    "DR19's allStar alone: no E(B-V) either": (*("ph_qual", "cc_flg", "ruwe", "ebv_flags", "e_ebv", "ebv"),),
    "DR10 to DR14: no Gaia either": ("ph_qual", "cc_flg", "ruwe", "ebv_flags", "e_ebv", "plx", "e_plx"),
}


@dataclass(frozen=True)
class Survey:
    """N stars, what was measured of them, and what the model says; arrays of shape (N,) or (…, N)."""

    kind: np.ndarray
    dist: np.ndarray
    m_ks: np.ndarray
    snr: np.ndarray
    b: np.ndarray
    flux_ratio: np.ndarray
    luminosity: np.ndarray
    """The pseudo-luminosity, its error and the model part of that, shape (3, N) [mas]."""
    detectors: np.ndarray
    """Coverage of the three detectors, shape (3, N)."""
    measured: np.ndarray
    """J, H, Ks and their errors, E(B-V), its error, plx, its error, RUWE, ra, dec, shape (13, N)."""

    MEASURED = (
        *("j_mag", "h_mag", "k_mag", "e_j_mag", "e_h_mag", "e_k_mag"),
        *("ebv", "e_ebv", "plx", "e_plx", "ruwe", "ra", "dec"),
    )

    def catalogue(self) -> dict[str, np.ndarray | str | int]:
        """What is known of the stars, by the names of the table of sources."""
        values = dict(zip(self.MEASURED, self.measured, strict=True))
        values["ebv_flags"] = Source.flag_ebv_from_zhang_2023.value
        return values | {"ph_qual": "AAA", "cc_flg": "000"}


@dataclass(frozen=True)
class Outcome:
    """The distances of a survey with some catalogue; arrays of shape (N,)."""

    factor: np.ndarray
    """Distance over true distance."""
    good: np.ndarray
    clean: np.ndarray
    not_clean: np.ndarray

    def wrong(self, by: float) -> np.ndarray:
        """Which distances are too large, or too small, by a factor or more."""
        return np.abs(np.log(self.factor)) >= np.log(by)


def outcome(survey: Survey, catalogue: dict) -> Outcome:
    """Derive the distances."""
    count = len(survey.dist)
    found = derive(
        survey.luminosity, np.ones(count, bool), Stars.of(catalogue, count), detectors=survey.detectors
    )
    good = ~(found["flag_fakemag_unreliable"] | found["flag_missing_photometry"])
    return Outcome(found["dist"] / survey.dist, good, good & (found["not_clean"] == 0), found["not_clean"])


# > The survey


def simulated(data: Path, grids: Path | None, count: int, seed: int, draws: int) -> Survey:
    """Draw, observe and measure stars."""
    isochrones = [data / "isochrones" / "padova_jhk", *([grids] if grids else [])]
    simulator = choose_simulator(data / "spectra_models", *isochrones)
    chunks = simulate_chunks(simulator, count, seed, Conditions(), read_patterns(data / "apstar"))
    model, parts = load_model(None, "cpu"), []
    for number, chunk in enumerate(chunks):
        parts.append(_measured(model, chunk, np.arange(number * CHUNK, (number + 1) * CHUNK), seed, draws))
        print(f"{(number + 1) * CHUNK:,} of {count:,} stars measured", flush=True)
    columns = {
        each.name: np.concatenate([getattr(part, each.name) for part in parts], axis=-1)
        for each in fields(Survey)
    }
    return Survey(**{name: values[..., :count] for name, values in columns.items()})


def _measured(model: Model, chunk: Sample, numbers: np.ndarray, seed: int, draws: int) -> Survey:
    flux, e_flux = rectify(chunk.flux, chunk.e_flux, chunk.pixel_flags)
    names = [f"clean/{seed}/{number}" for number in numbers]
    found, _ = model.predict(flux, e_flux, names, n_draws=draws, seed=0)
    fainter = -2.5 * np.log10(1 + chunk.flux_ratio)
    absolute = (chunk.stars.abs_j + fainter, chunk.stars.abs_h + fainter, chunk.abs_ks)
    seen = draw_observables(absolute, chunk.snr, chunk.flux_ratio > 0, numbers, seed=seed)
    pixels = zip(chunk.flux, chunk.e_flux, chunk.pixel_flags, strict=True)
    return Survey(
        kind=chunk.stars.kind,
        dist=seen.dist,
        m_ks=chunk.abs_ks,
        snr=chunk.snr,
        b=seen.b,
        flux_ratio=chunk.flux_ratio,
        luminosity=np.stack([found.fakemag, found.e_fakemag, found.e_model_fakemag]),
        detectors=np.transpose([coverage_of(CombinedSpectrum(*each))[1:] for each in pixels]),
        measured=np.stack([getattr(seen, name) for name in Survey.MEASURED]),
    )


# > The tables


def table(title: str, heads: list[str], rows: list[list[str]]) -> None:
    """Print a table in Markdown."""
    print(f"\n{title}\n\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def share(part: np.ndarray, whole: np.ndarray) -> str:
    """The share of some stars, with their number."""
    count = int(whole.sum())
    return f"{(part & whole).sum() / count:.1%} of {count:,}" if count else "no star"


def kept(survey: Survey) -> None:
    """What `clean` keeps of the stars that are `good` and right, and why it loses the others."""
    found = outcome(survey, survey.catalogue())
    right, rows = found.good & ~found.wrong(WRONG), []
    for kind in (*KINDS, "all"):
        members = right & ((survey.kind == kind) | (kind == "all"))
        reasons = [share(found.not_clean & each.value > 0, members).split(" ")[0] for each in Criterion]
        rows.append([kind, share(found.clean, members), *reasons])
    heads = ["class", "clean keeps", *(each.name.lower() for each in Criterion)]
    table(f"Good and right within {WRONG - 1:.0%}, complete inputs", heads, rows)
    rows = []
    for name, without in _RELEASES.items():
        catalogue = {key: value for key, value in survey.catalogue().items() if key not in without}
        rows.append([name, share(outcome(survey, catalogue).clean, right)])
    table("The same with less", ["inputs", "clean keeps"], rows)
    latitude, rows = np.abs(survey.b), []
    wrong = {name: value for name, value in survey.catalogue().items() if name != "e_ebv"}
    too_large = outcome(survey, wrong | {"ebv": 1.4 * wrong["ebv"]})
    too_small = outcome(survey, wrong | {"ebv": 0.8 * wrong["ebv"]})
    for low, high in ((0, 5), (5, 10), (10, 20), (20, 40), (40, 90)):
        inside = right & (latitude >= low) & (latitude < high)
        rows.append([f"{low}-{high}", *(share(each.clean, inside) for each in (found, too_small, too_large))])
    heads = ["abs(b) [deg]", "E(B-V) as measured", "20 % too small, no error", "40 % too large, no error"]
    table("Against latitude, clean keeps", heads, rows)


def swapped(survey: Survey, bands: str, seed: int) -> Outcome:
    """The survey with these magnitudes taken from another star each."""
    catalogue, other = survey.catalogue(), np.random.default_rng(seed).permutation(len(survey.dist))
    for name in (f"{e}{band}_mag" for band in bands for e in ("", "e_")):
        catalogue[name] = catalogue[name][other]
    return outcome(survey, catalogue)


def swaps(survey: Survey, repeats: int = 5) -> None:
    """What is left of distances from the magnitudes of other stars."""
    plx, e_plx = (survey.catalogue()[name] for name in ("plx", "e_plx"))
    with_gaia = plx / e_plx > 10
    totals = {name: [0, 0] for name in ("factor 2, plx/e > 10", "factor 2", "30 %, plx/e > 10", "30 %")}
    by_distance = {edge: [0, 0] for edge in ((0, 1), (1, 2), (2, 4), (4, 8), (8, 30))}

    def add(counts: list[int], found: Outcome, members: np.ndarray) -> None:
        counts[0] += int((members & found.good).sum())
        counts[1] += int((members & found.clean).sum())

    for seed in range(repeats):
        found = swapped(survey, "k", seed)
        for name, counts in totals.items():
            members = found.wrong(BY_TWO if "2" in name else WRONG) & (with_gaia | ("plx" not in name))
            add(counts, found, members)
        found = swapped(survey, "jhk", seed)
        for (low, high), counts in by_distance.items():
            inside = (survey.dist >= 1000 * low) & (survey.dist < 1000 * high)
            add(counts, found, found.wrong(BY_TWO) & inside)
    heads = ["wrong by", "good", "clean", "clean keeps"]
    rows = [[name, f"{a:,}", f"{b:,}", f"{b / max(a, 1):.2%}"] for name, (a, b) in totals.items()]
    table("Ks of another star", heads, rows)
    rows = [
        [f"{low}-{high} kpc", f"{a:,}", f"{b:,}", f"{b / max(a, 1):.1%}"]
        for (low, high), (a, b) in by_distance.items()
    ]
    table("J, H and Ks of another star, wrong by a factor of 2", ["true distance", *heads[1:]], rows)


def lost(survey: Survey) -> None:
    """What `good` and `clean` lose, against what a selection may hang on."""
    found, everyone = outcome(survey, survey.catalogue()), np.ones(len(survey.dist), bool)
    axes = {
        "M_Ks [mag]": (survey.m_ks, (-8, -6, -5, -4, -3, -2, -1, 1, 3, 5, 9)),
        "distance [kpc]": (survey.dist / 1000, (0, 0.3, 1, 2, 4, 8, 12, 30)),
        "S/N": (survey.snr, (10, 20, 40, 60, 100, 200, 2000)),
        "abs(b) [deg]": (np.abs(survey.b), (0, 5, 10, 20, 40, 90)),
    }
    for name, (values, edges) in axes.items():
        rows = []
        for low, high in zip(edges[:-1], edges[1:], strict=True):
            inside = (values >= low) & (values < high)
            if inside.any():
                single = inside & (survey.flux_ratio == 0)
                rows.append(
                    [f"{low} to {high}", f"{inside.sum():,}", share(found.good, inside).split(" ")[0],
                     share(found.clean, inside).split(" ")[0], share(found.clean, single).split(" ")[0]]
                )  # fmt: skip
        table(f"Kept of all, against {name}", [name, "stars", "good", "clean", "clean of single"], rows)
    print(f"\nall: good {share(found.good, everyone)}, clean {share(found.clean, everyone)}")


def real_colours(data: Path, seed: int) -> None:
    """What the colours say of real, near stars, and of the same with Ks from each other."""
    rows = Table.read(data / "catalogs" / "APOGEE-allStar-v603-Hipparcos.fits.gz")
    rows = rows[np.unique(np.asarray(rows["APOGEE_ID"]), return_index=True)[1]]
    known = {f"{e}{band}_mag": f"{band.upper()}{e and '_ERR'}" for band in "jhk" for e in ("", "e_")}
    values = {name: np.asarray(rows[column], float) for name, column in known.items()}
    other = np.random.default_rng(seed).permutation(len(rows))
    change = np.abs(values["k_mag"][other] - values["k_mag"])
    swapped_k = {name: values[name][other] for name in ("k_mag", "e_k_mag")}
    fine = np.all([values[f"e_{band}_mag"] < 0.1 for band in "jhk"], axis=0) & (values["k_mag"] > 4)

    def rejected(values: dict[str, np.ndarray], ebv: np.ndarray | float, members: np.ndarray) -> list[str]:
        found = Stars.of(values | {"ebv": ebv}, len(rows))
        bits, unknown = judge(found, np.ones((3, len(rows))), np.zeros(len(rows)))
        looked = members & fine & (unknown & Criterion.COLOUR.value == 0)
        return [share(bits & Criterion.COLOUR.value > 0, looked)]

    everyone, sfd = np.ones(len(rows), bool), 0.884 * np.asarray(rows["SFD_EBV"], float)
    table(
        "Stars of Hipparcos in DR12, E(B-V) taken for 0 if not said",
        ["stars", "rejected by their colours"],
        [
            ["as they are", *rejected(values, 0.0, everyone)],
            ["with E(B-V) of SFD", *rejected(values, sfd, everyone)],
            ["with another's Ks, 0.57 mag or more", *rejected(values | swapped_k, 0.0, change >= 0.57)],
            ["with another's Ks, 1.5 mag or more", *rejected(values | swapped_k, 0.0, change >= 1.5)],
        ],
    )


def gaps(seed: int, count: int = 192, draws: int = 30) -> None:
    """What a distance of a giant costs that a part of a detector is lost in one piece."""
    model, conditions = (
        load_model(None, "cpu"),
        Conditions(mix={"rgb": 0.7, "red_clump": 0.3}, snr=(100, 300)),
    )
    giants, rows = simulate(load(), count, seed=seed, conditions=conditions), []
    names = [f"gaps/{number}" for number in range(count)]
    for detector, (begin, end) in zip(("blue", "green", "red"), DETECTORS, strict=True):
        for lost in (0.4, 0.6, 0.7, 0.85, 1.0):
            flags = giants.pixel_flags.copy()
            flags[:, begin : begin + int(lost * (end - begin))] |= 1 << BADPIX
            flux, e_flux = rectify(giants.flux, giants.e_flux, flags)
            found, _ = model.predict(flux, e_flux, names, n_draws=draws, seed=0)
            kept = ~unreliable(found.fakemag, found.e_fakemag)
            factor = (giants.fakemag / found.fakemag)[kept]
            beyond = np.abs(factor - 1) > 3 * (found.e_fakemag / found.fakemag)[kept]
            figures = [f"{np.median(factor) - 1:+.1%}", f"{beyond.mean():.1%}"] if kept.any() else ["", ""]
            rows.append([detector, f"{lost:.0%}", f"{kept.mean():.0%}", *figures])
    heads = ["detector", "lost in one piece", "not flagged", "median error", "beyond 3 errors"]
    table("Giants with S/N 100 to 300", heads, rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("data", type=Path, help="folder of spectra_models, isochrones, apstar, catalogs")
    parser.add_argument("--grids", type=Path, help="the wheel of lachesis-grids: stars of several isochrones")
    parser.add_argument("--stars", type=int, default=6144)
    parser.add_argument("--seed", type=int, default=4711)
    parser.add_argument("--draws", type=int, default=50, help="Monte Carlo draws per spectrum")
    parser.add_argument(
        "--predictions", type=Path, help="where they are kept, or taken from if they are there"
    )
    parser.add_argument("--gaps", action="store_true", help="only what lost parts of a detector cost")
    asked = parser.parse_args()
    if asked.gaps:
        gaps(asked.seed)
        return
    if asked.predictions and asked.predictions.exists():
        with np.load(asked.predictions) as file:
            survey = Survey(**file)
    else:
        survey = simulated(asked.data, asked.grids, asked.stars, asked.seed, asked.draws)
        if asked.predictions:
            asked.predictions.parent.mkdir(parents=True, exist_ok=True)
            np.savez(asked.predictions, **vars(survey))
    kept(survey)
    real_colours(asked.data, asked.seed)
    swaps(survey)
    lost(survey)


if __name__ == "__main__":
    main()
