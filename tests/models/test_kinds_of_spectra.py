"""The view ``distances`` has results of apStar coadds and of mwmStar spectra; of one star a coadd counts."""

import pytest
from builders import a_combined_spectrum, a_result, a_source, a_spectrum

from astra.models import Distance
from astra.system.version import V_ASTRA


def _primary():
    rows = Distance.select().order_by(Distance.spectrum_pk)
    return [row.primary_spectrum for row in rows]


def test_results_of_both_kinds_are_in_the_view_with_what_their_spectra_say(db):
    source = a_source()
    a_result(a_spectrum(source, snr=90.0, n_visits=3, v_rad=5.0))
    a_result(a_combined_spectrum(source, snr=80.0, n_visits=2, telescope="lco25m"))

    coadd, combined = Distance.select().order_by(Distance.spectrum_pk)

    assert (coadd.filetype, coadd.snr, coadd.n_visits, coadd.v_rad, coadd.field) == (
        *("apStar", 90.0, 3, 5.0, "M67"),
    )
    assert (combined.filetype, combined.snr, combined.n_visits, combined.field) == ("mwmStar", 80.0, 2, "")
    assert (combined.telescope, combined.release, combined.commissioning) == ("lco25m", "dr19", False)
    assert coadd.sdss_id == combined.sdss_id == source.sdss_id
    assert (coadd.good, combined.good, combined.v_astra) == (True, True, V_ASTRA)
    found = Distance.select().where(Distance.sdss_id == source.sdss_id, Distance.filetype == "mwmStar")
    assert [row.spectrum_pk for row in found] == [combined.spectrum_pk]


@pytest.mark.parametrize("snr", [10.0, 100.0, 500.0, float("nan")])
def test_a_coadd_is_primary_before_an_mwmstar_spectrum_whatever_the_signal_to_noise_ratio(db, snr):
    source = a_source()
    for spectrum in (a_combined_spectrum(source, snr=500.0), a_spectrum(source, snr=snr)):
        a_result(spectrum)

    assert _primary() == [False, True]


def test_an_mwmstar_spectrum_is_primary_where_no_coadd_has_a_result(db):
    source = a_source()
    a_result(a_spectrum(source), flag_no_result=True)
    a_spectrum(source)
    a_result(a_combined_spectrum(source, snr=50.0))
    a_result(a_combined_spectrum(source, snr=60.0))
    a_result(a_combined_spectrum(source, snr=70.0), flag_no_result=True)
    a_result(a_combined_spectrum(a_source(), snr=1.0))

    assert _primary() == [False, False, True, False, True]
