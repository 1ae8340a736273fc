"""Every distance of a star is what its documented formula says: by file, in SQL, and in both catalogues."""

import math

import numpy as np
import pytest
from astropy.table import Table
from builders import ZERO_POINT, a_result, a_source, a_spectrum, on_sqlite, write_apstar

import astra
from astra.catalogue.create import Request as CatalogueRequest
from astra.catalogue.create import create
from astra.catalogue.options import Names
from astra.database.connection import database
from astra.models import Distance
from astra.pipelines.astronn_dist.task import rederive
from astra.running.ending import StopRequest

INPUTS = {"k_mag": 10.0, "e_k_mag": 0.03, "ebv": 0.4, "e_ebv": 0.05}
#: By what the error of a parallax of DR3 grows at this G.
FACTOR = 0.21 * math.exp(-(((ZERO_POINT["g_mag"] - 12.65) / 0.9) ** 2)) + 1.141
FACTOR += 0.0040 * ZERO_POINT["g_mag"] - 0.00062 * ZERO_POINT["g_mag"] ** 2
#: Stars at 5 kpc, by what their zero-point is made from, with what Gaia says and the factor of its error.
STARS = {
    "nu_eff": (ZERO_POINT | {"plx": 0.17, "e_plx": 0.02, "ruwe": 1.0}, FACTOR),
    "bp_rp": (
        {name: value for name, value in ZERO_POINT.items() if "nu_eff" not in name}
        | {"bp_mag": 13.6, "rp_mag": 12.4, "plx": 0.17, "e_plx": 0.02},
        FACTOR,
    ),
    "dr2": ({"gaia_release": "dr2", "plx": 0.17, "e_plx": 0.02, "ruwe": 1.7}, 1.08),
    "no_g": ({"gaia_release": "dr3", "plx": 2.0, "e_plx": 0.02}, 1.15),
}
ADDED = {"nu_eff": 0.0, "bp_rp": 0.0, "dr2": 0.023, "no_g": 0.012}
#: What DR19 calls ours; of the last three only what is exact is there.
DR19 = {
    "dist": "nn_dist",
    "e_dist": "nn_dist_err",
    "e_nn_parallax": "nn_parallax_err",
    "e_weighted_parallax": "weighted_parallax_err",
    "e_weighted_dist": "weighted_dist_err",
}
OF_DR3 = {"plx_zero_point": "gdr3_zeropoint", "gaia_parallax": "gdr3_parallax_w_zp"}
OF_DR3 |= {"e_gaia_parallax": "gdr3_parallax_err"}


def _by_the_docs(origin, zero_point, fakemag, e_fakemag):
    """The numbers of a reliable star, as docs/distances.md has them, from its zero-point and luminosity."""
    gaia, factor = STARS[origin]
    star, modulus = INPUTS | gaia, 10 ** (0.2 * (INPUTS["k_mag"] - 0.3517 * INPUTS["ebv"]))
    r = e_fakemag / fakemag
    s = 0.2 * math.log(10) * math.hypot(star["e_k_mag"], 0.3517 * star["e_ebv"])
    nn, parallax = fakemag / modulus, star["plx"] - zero_point
    errors = nn * math.hypot(r, s), math.hypot(factor * star["e_plx"], ADDED[origin])
    weights = [error**-2 for error in errors]
    mean = (nn * weights[0] + parallax * weights[1]) / sum(weights)
    found = {
        "dist": 1000 * modulus / fakemag,
        "e_dist": 1000 * modulus / fakemag * r,
        "nn_parallax": nn,
        "e_nn_parallax": errors[0],
        "plx_zero_point": zero_point,
        "gaia_parallax": parallax,
        "e_gaia_parallax": errors[1],
        "parallax_pull": (nn - parallax) / math.hypot(*errors),
        "weighted_parallax": mean,
        "e_weighted_parallax": sum(weights) ** -0.5,
        "weighted_dist": 1000 / mean,
        "e_weighted_dist": 1000 / mean * sum(weights) ** -0.5 / mean,
    }
    best = {"nu_eff": "weighted", "bp_rp": "weighted", "dr2": "spectrum", "no_g": None}[origin]
    found["best_dist"] = {"weighted": 1000 / mean, "spectrum": found["dist"], None: math.nan}[best]
    return found, best


@pytest.fixture
def rows(db, tmp_path):
    """The rows of these stars in the view, from luminosities that are stored, in their order."""
    for number, (gaia, _) in enumerate(STARS.values()):
        path = write_apstar(tmp_path / f"apStar-dr17-star{number}.fits")
        spectrum = a_spectrum(a_source(**INPUTS | gaia), path)
        row = a_result(spectrum, L_fakemag=19.0, e_L_fakemag=1.5, e_model_L_fakemag=0.5)
        rederive([row], [spectrum.source])
        row.save()
    return list(Distance.select().order_by(Distance.spectrum_pk))


def _value(row, name):
    return float(np.ma.filled(row[name], np.nan))


@on_sqlite
def test_every_distance_in_sql_and_in_both_catalogues_equals_its_formula(rows, tmp_path):
    files = {}
    for names in Names:
        request = CatalogueRequest(output=tmp_path / f"{names}.fits", names=names, mixed=True)
        with StopRequest() as stop:
            files[names] = Table.read(create(request, database, stop).path, hdu="APOGEE")

    for origin, row, ours, theirs in zip(STARS, rows, *files.values(), strict=True):
        expected, best = _by_the_docs(origin, row.plx_zero_point, 19.0, 1.5)
        published = {name: expected[name] if origin == "nu_eff" else math.nan for name in OF_DR3}

        found = [{name: getattr(row, name) for name in expected}]
        found.append({name: _value(ours, name) for name in expected})
        found.append({name: _value(theirs, DR19.get(name, name)) for name in expected})

        for each in found:
            assert each == pytest.approx(expected, rel=1e-4, nan_ok=True)
        of_dr3 = {name: _value(theirs, name_there) for name, name_there in OF_DR3.items()}
        assert of_dr3 == pytest.approx(published, rel=1e-4, nan_ok=True)
        assert (row.plx_zero_point_origin, row.best_dist_from) == (origin, best)


@pytest.mark.parametrize("origin", STARS)
def test_every_distance_from_a_file_equals_its_formula(origin, toy_weights, tmp_path):
    path = write_apstar(tmp_path / "apStar-dr17-2M00000001+0000001.fits")

    found = astra.distance_from_apstar(
        path, weights=str(toy_weights), device="cpu", **INPUTS | STARS[origin][0]
    )

    luminosity = found.L_fakemag.value, found.e_L_fakemag.value
    expected, _ = _by_the_docs(origin, found.plx_zero_point.value, *luminosity)
    if found.flag_bad:
        for name in (
            "weighted_parallax",
            "e_weighted_parallax",
            "weighted_dist",
            "e_weighted_dist",
            "best_dist",
        ):
            expected.pop(name)
    assert {name: getattr(found, name).value for name in expected} == pytest.approx(
        expected, rel=1e-4, nan_ok=True
    )
    assert found.plx_zero_point_origin == origin
