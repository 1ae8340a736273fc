"""A small survey with all kinds of results, for the tests of the report."""

import json
from pathlib import Path

import numpy as np
from builders import a_result, a_run, a_source, a_spectrum, write_apstar

from astra.models import ApogeeCoaddedSpectrumInApStar
from astra.pipelines.astronn_dist import astronn_dist
from astra.pipelines.astronn_dist.weights.files import identify

HOSTILE = '<script>document.title = "run"</script>'


def fill(folder: Path, weights: Path, stars: int = 40) -> None:
    """Fill the open database with stars that have a spectrum each, some two, and some with a flag.

    The first three have files, and were measured with the weights; all others are made up.
    """
    rng = np.random.default_rng(11)
    name, sha256 = identify(weights)
    given = {"weights_name": name, "weights_sha256": sha256, "seed": 4, "n_draws": 20, "version": "0.1.0"}
    run = a_run(**given, precision="float32", arguments=json.dumps({"weights": str(weights)}))
    for number in range(stars):
        source = a_source(
            l=rng.uniform(0, 360),
            b=rng.normal(0, 15),
            j_mag=10 + rng.uniform(0.3, 1.0),
            plx=rng.normal(0.25, 0.05) if number % 5 else None,
            e_plx=0.05 if number % 7 else None,
            ruwe=2.0 if number == 8 else 1.0,
        )
        for repeat in range(2 if number % 4 == 0 else 1):
            flags = {9: 2**4, 0: 2**1}.get(number, 0)
            values = {"snr": rng.uniform(30, 300), "spectrum_flags": flags}
            telescope = "lco25m" if number % 3 else "apo25m"
            if number < 3:
                _measured(folder / f"apStar-dr17-{number}{repeat}.fits", source, weights, run, values)
                continue
            fakemag = 10 ** rng.uniform(0.9, 2.2)
            error = fakemag * (0.3 if number == 10 else rng.uniform(0.05, 0.19))
            dist = 10 ** (0.2 * (10 - 0.03517) + 3) / fakemag
            a_result(
                a_spectrum(source, telescope=telescope, **values),
                run_pk=run.pk,
                L_fakemag=fakemag,
                e_L_fakemag=error,
                dist=dist,
                e_dist=dist * error / fakemag,
                flag_fakemag_unreliable=number == 10,
                flag_missing_extinction=number == 11,
                not_clean=None if number == 12 else 2**7 if number % 6 == 5 else 0,
                not_checked=None if number == 12 else 0 if number % 5 else 2**7,
            )
    void = dict.fromkeys(("L_fakemag", "e_L_fakemag", "e_model_L_fakemag", "dist", "e_dist", "e_model_dist"))
    lost = a_spectrum(a_source(sdss4_apogee_id=f"2M{HOSTILE}"), path=f"/nowhere/{HOSTILE}.fits")
    a_result(lost, run_pk=run.pk, flag_no_result=True, no_result_reason=f"not there: {HOSTILE}", **void)


def _measured(path: Path, source, weights: Path, run, values: dict) -> None:
    spectrum = a_spectrum(source, write_apstar(path), **values)
    spectrum = ApogeeCoaddedSpectrumInApStar.get_by_id(spectrum.pk)
    (row,) = astronn_dist([spectrum], weights=str(weights), seed=4, n_draws=20, device="cpu")
    row.run_pk = run.pk
    row.save()
