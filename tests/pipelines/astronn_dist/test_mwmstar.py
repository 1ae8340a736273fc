"""A spectrum in an mwmStar file has the numbers of the same spectrum in an apStar file."""

from dataclasses import dataclass

import numpy as np
import pytest
from builders import write_mwmstar

from astra.ingest.headers import described
from astra.models import ApogeeCoaddedSpectrumInApStar, ApogeeCombinedSpectrum, Source
from astra.pipelines.astronn_dist import astronn_dist
from astra.spectra.apstar import read_combined, read_header

DRAWS = 100
LUMINOSITIES = ("L_fakemag", "e_L_fakemag", "e_model_L_fakemag")


@dataclass
class Pair:
    """The same light as a row of each model; the second has an identity of its own."""

    coadd: ApogeeCoaddedSpectrumInApStar
    combined: ApogeeCombinedSpectrum


@pytest.fixture
def pairs(apstars, tmp_path) -> list[Pair]:
    found, source = [], Source(k_mag=10.0, ebv=0.1)
    for number, path in enumerate(apstars[:3], 1):
        spectrum, record = read_combined(path), described(path, read_header(path))
        columns = {"flux": spectrum.flux, "ivar": spectrum.e_flux**-2.0, "pixel_flags": spectrum.pixel_flags}
        copy = write_mwmstar(tmp_path / f"mwmStar-0.6.0-{number}.fits", columns)
        common = {"source": source, "spectrum_pk": number}
        coadd = ApogeeCoaddedSpectrumInApStar(**common, path=str(path), product_id=record.product.product_id)
        combined = ApogeeCombinedSpectrum(
            **common, path=str(copy), telescope="apo25m", apred="dr17", product_id=f"mwmstar/{number}"
        )
        found.append(Pair(coadd, combined))
    return found


def _numbers(spectra, weights):
    rows = list(astronn_dist(spectra, weights=str(weights), n_draws=DRAWS))
    return {name: np.array([getattr(row, name) for row in rows]) for name in (*LUMINOSITIES, "dist")}


def test_with_the_same_identity_the_numbers_are_the_same(pairs, toy_weights):
    for pair in pairs:
        pair.combined.product_id = pair.coadd.product_id

    of_coadds = _numbers([pair.coadd for pair in pairs], toy_weights)
    of_combined = _numbers([pair.combined for pair in pairs], toy_weights)

    for name, expected in of_coadds.items():
        assert np.isfinite(expected).all()
        assert of_combined[name] == pytest.approx(expected, rel=1e-5)


def test_with_its_own_identity_they_agree_within_the_error_of_the_draws(pairs, toy_weights):
    of_coadds = _numbers([pair.coadd for pair in pairs], toy_weights)
    of_combined = _numbers([pair.combined for pair in pairs], toy_weights)

    errors = np.hypot(of_coadds["e_model_L_fakemag"], of_combined["e_model_L_fakemag"]) / DRAWS**0.5
    pulls = (of_combined["L_fakemag"] - of_coadds["L_fakemag"]) / errors
    assert (pulls != 0).all()
    assert (np.abs(pulls) < 5).all()
