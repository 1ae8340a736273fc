"""``astra ingest mwmstar``: spectra of both telescopes, and the star from the header."""

import json
import math
from datetime import datetime

import numpy as np
import pytest
from builders import N_PIXELS, a_result, write_mwmstar

from astra.errors import UsageError
from astra.ingest.allstar import ingest_allstar
from astra.ingest.apstar import ingest_apstar
from astra.ingest.mwmstar import ingest_mwmstar
from astra.models import ApogeeCoaddedSpectrumInApStar, ApogeeCombinedSpectrum, Source
from astra.tasks.installed import find_task
from astra.tasks.pending import Selection, pending_query

STAR = "2M12283021-6635525"


@pytest.fixture
def mwmstar(tmp_path):
    """Writes mwmStar files where the survey puts them."""

    def write(*spectra, sdss_id=103020000, v_astra="0.6.0", **header):
        folder = tmp_path / "star" / f"{sdss_id % 10000 // 100:02d}" / f"{sdss_id % 100:02d}"
        own = [{"sdss_id": sdss_id, "v_astra": v_astra} | each for each in spectra]
        cards = {"SDSS_ID": sdss_id, "V_ASTRA": v_astra} | header
        return write_mwmstar(folder / f"mwmStar-{v_astra}-{sdss_id}.fits", *own, header=cards)

    return write


def _pending():
    """The number of spectra that are to be read."""
    parts = Selection(find_task("astronn_dist")).of_each_model()
    return sum(pending_query(part).count() for part in parts)


def _set_back():
    for model in (Source, ApogeeCombinedSpectrum):
        model.update(modified=datetime(2020, 1, 1)).execute()


def _changed():
    """The numbers of sources and of spectra that were modified since."""
    models = (Source, ApogeeCombinedSpectrum)
    return [model.select().where(model.modified > datetime(2021, 1, 1)).count() for model in models]


def test_the_spectra_of_both_telescopes_are_registered_with_their_star(db, mwmstar, tmp_path):
    path = mwmstar({"snr": 80.0, "spectrum_flags": 16}, {"telescope": "lco25m", "e_v_rad": 0.5})

    counts = ingest_mwmstar(tmp_path)

    assert (counts.spectra_new, counts.sources_new, counts.skipped) == (2, 1, 0)
    apo, lco = ApogeeCombinedSpectrum.select().order_by(ApogeeCombinedSpectrum.telescope)
    assert apo.product_id == "mwmstar/dr19/0.6.0/apo25m/188421/103020000/dr17/s"
    assert lco.product_id == "mwmstar/dr19/0.6.0/lco25m/188421/103020000/dr17/s"
    assert (apo.release, apo.filetype, apo.v_astra, apo.apred, apo.obj, apo.healpix) == (
        *("dr19", "mwmStar", "0.6.0", "dr17", STAR, 188421),
    )
    assert (apo.n_visits, apo.n_good_visits, apo.n_good_rvs, apo.snr, apo.spectrum_flags) == (
        3,
        2,
        2,
        80.0,
        16,
    )
    assert (apo.v_rad, lco.e_v_rad, lco.spectrum_flags) == (-12.2, 0.5, 0)
    assert math.isnan(apo.e_v_rad)
    assert apo.path == lco.path == str(path)
    source = apo.source
    assert lco.source == source
    assert (source.sdss_id, source.sdss4_apogee_id, source.healpix) == (103020000, STAR, 188421)
    assert (source.k_mag, source.h_mag, source.ph_qual, source.g_mag) == (9.835, 10.107, "AAA", 13.685833)
    assert (source.gaia_dr3_source_id, source.gaia_release) == (5860080419780127104, "dr3")
    assert (source.plx, source.e_plx) == (0.11437972, 0.014047999)


def test_the_name_in_the_header_counts_before_that_of_a_spectrum(db, mwmstar, tmp_path):
    mwmstar({"obj": "AP00000001+0000001"})

    ingest_mwmstar(tmp_path)

    assert (Source.get().sdss4_apogee_id, ApogeeCombinedSpectrum.get().obj) == (STAR, "AP00000001+0000001")


def test_the_first_of_all_healpix_pixels_is_one(db, mwmstar, tmp_path):
    mwmstar({"healpix": 0}, HEALPIX=None)

    ingest_mwmstar(tmp_path)

    assert ApogeeCombinedSpectrum.get().product_id == "mwmstar/dr19/0.6.0/apo25m/0/103020000/dr17/s"


def test_the_reddening_of_the_star_follows_from_its_w2_magnitude(db, mwmstar):
    ingest_mwmstar(mwmstar({}, H_MAG=10.107, E_H_MAG=0.026, W2_MAG=9.831, E_W2_MAG=0.0011, MAG4_5=None))

    # RJCE with the colour that SDSS-V takes for a giant without reddening.
    assert Source.get().ebv == pytest.approx(2.61 * (10.107 - 9.831 - 0.08))
    assert Source.get().flag_ebv_from_rjce_allwise


def test_again_nothing_is_modified_and_other_pixels_make_their_spectrum_pending(db, mwmstar, tmp_path):
    mwmstar({}, {"telescope": "lco25m"})
    mwmstar({"obj": "2M1"}, sdss_id=77, APOGEEID="2M1")
    ingest_mwmstar(tmp_path)
    assert _pending() == 3
    _set_back()
    for spectrum in ApogeeCombinedSpectrum:
        row = a_result(spectrum)
        row.made_from(spectrum, datetime(2022, 1, 1))
        row.save()
    assert _pending() == 0

    again = ingest_mwmstar(tmp_path)
    assert (again.spectra_unchanged, again.sources_unchanged, _changed()) == (3, 2, [0, 0])
    mwmstar({}, {"telescope": "lco25m", "flux": np.full(N_PIXELS, 7.0)})
    later = ingest_mwmstar(tmp_path)

    assert (later.spectra_updated, _changed()) == (1, [0, 1])
    assert _pending() == 1


def test_a_file_elsewhere_with_the_same_pixels_only_moves(db, mwmstar, tmp_path):
    ingest_mwmstar(mwmstar({}))
    _set_back()
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "star").rename(elsewhere)

    assert ingest_mwmstar(elsewhere).spectra_unchanged == 1

    assert _changed() == [0, 0]
    assert ApogeeCombinedSpectrum.get().path.startswith(str(elsewhere))


def test_a_star_of_another_file_is_the_same_by_its_sdss_id_or_its_apogee_id(db, mwmstar, apstar, tmp_path):
    ingest_apstar([apstar(f"apStar-r6-{STAR}.fits", OBJID=STAR, FIELD="M67", K=9.0)])

    counts = ingest_mwmstar(mwmstar({"obj": STAR}))

    assert (counts.sources_new, counts.sources_updated) == (0, 1)
    source = Source.get()
    assert list(source.spectra) == [ApogeeCoaddedSpectrumInApStar.get(), ApogeeCombinedSpectrum.get()]
    # The header of DR19 is newer than that of DR13, in whichever order they come.
    assert source.k_mag == 9.835
    ingest_apstar([apstar(f"apStar-r6-{STAR}.fits", OBJID=STAR, FIELD="M67", K=9.0)])
    assert Source.get().k_mag == 9.835


def test_an_apstar_file_finds_the_star_by_a_name_that_only_an_mwmstar_spectrum_has(db, mwmstar, apstar):
    ingest_mwmstar(mwmstar({"obj": "2M00000002+0000000"}, APOGEEID=STAR))

    ingest_apstar([apstar("apStar-r6-2M00000002+0000000.fits", OBJID="2M00000002+0000000", FIELD="M67")])

    assert Source.select().count() == 1


def test_a_catalogue_is_preferred_and_a_value_that_a_header_no_longer_has_is_withdrawn(db, mwmstar, table):
    path = mwmstar({}, K_MAG=9.8, H_MAG=10.1)
    listed = table("targets.csv", [{"sdss_id": 103020000, "k_mag": 9.1}])

    ingest_mwmstar(path, catalog=listed)
    assert (Source.get().k_mag, Source.get().h_mag) == (9.1, 10.1)

    ingest_mwmstar(mwmstar({}, K_MAG=9.8, H_MAG=None))
    assert (Source.get().k_mag, math.isnan(Source.get().h_mag)) == (9.1, True)


def test_a_version_that_was_not_published_needs_its_release(db, mwmstar):
    path = mwmstar({}, v_astra="0.7.0")

    with pytest.raises(
        UsageError, match=r"version '0.7.0' does not tell its data release; give it with --rel"
    ):
        ingest_mwmstar(path)
    ingest_mwmstar(path, release="sdss5")

    assert ApogeeCombinedSpectrum.get().product_id.startswith("mwmstar/sdss5/0.7.0/")


def test_another_release_of_the_same_file_is_a_correction_of_its_identity(db, mwmstar):
    path = mwmstar({}, v_astra="0.7.0")
    ingest_mwmstar(path, release="sdss5")
    key = ApogeeCombinedSpectrum.get().spectrum_pk

    ingest_mwmstar(path, release="dr20")

    (row,) = ApogeeCombinedSpectrum.select()
    assert (row.spectrum_pk, row.release) == (key, "dr20")
    assert row.product_id.startswith("mwmstar/dr20/0.7.0/")


def test_the_sdss_id_in_the_header_counts_before_that_in_the_name(db, mwmstar, tmp_path):
    path = mwmstar({}).rename(tmp_path / "mwmStar-0.6.0-5.fits")

    ingest_mwmstar(path)

    assert (ApogeeCombinedSpectrum.get().sdss_id, Source.get().sdss_id) == (103020000, 103020000)


def test_a_spectrum_without_an_apogee_id_is_one_of_a_star_without_one(db, mwmstar):
    ingest_mwmstar([mwmstar({"obj": ""}, sdss_id=each, APOGEEID=None) for each in (7, 8)])

    rows = ApogeeCombinedSpectrum.select().order_by(ApogeeCombinedSpectrum.sdss_id)
    assert [(row.obj, row.source.sdss_id, row.source.sdss4_apogee_id) for row in rows] == [
        *(("", 7, None), ("", 8, None)),
    ]


def test_files_without_a_spectrum_and_files_that_cannot_be_read_are_counted_and_said(db, mwmstar, caplog):
    nothing, broken, odd = mwmstar(sdss_id=1), mwmstar({}, sdss_id=2), mwmstar({"flux": None}, sdss_id=3)
    broken.write_bytes(broken.read_bytes()[:30_000])

    counts = ingest_mwmstar([nothing, broken, odd])

    assert (counts.seen, counts.skipped, counts.unreadable, counts.spectra_new) == (3, 2, 1, 1)
    assert "not registered: truncated" in caplog.text
    assert "registered without its pixels: wrong shape" in caplog.text
    assert ApogeeCombinedSpectrum.get().pixels_digest is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mwmVisit-0.6.0-103020000.fits", "a visit spectrum: .*; give combined spectra, named mwmStar-…"),
        ("apVisit-r6-1.fits", "a visit spectrum"),
        ("apStar-r6-2M1.fits", "not named like an mwmStar file"),
        ("mwmStar.fits", "not named like an mwmStar file"),
    ],
)
def test_other_files_are_refused_by_their_names(db, tmp_path, name, said):
    (tmp_path / name).touch()

    with pytest.raises(UsageError, match=said):
        ingest_mwmstar(tmp_path / name)


def test_of_a_file_and_the_same_compressed_one_counts(db, mwmstar, tmp_path):
    path = mwmstar({})
    path.with_name(f"{path.name}.gz").write_bytes(path.read_bytes())

    assert ingest_mwmstar(tmp_path).seen == 1
    assert ApogeeCombinedSpectrum.get().path == str(path)


def test_the_command_says_what_it_did(db, astra, mwmstar, tmp_path):
    mwmstar({}, {"telescope": "lco25m"})
    mwmstar(sdss_id=1)

    code, out, _ = astra("ingest", "mwmstar", tmp_path)
    assert (code, out.splitlines()) == (
        0,
        [
            "spectra: 2 new, 0 updated, 0 unchanged",
            "sources: 1 new, 0 updated, 0 unchanged",
            "files left out, without a readable spectrum of APOGEE: 1",
        ],
    )
    code, out, _ = astra("ingest", "mwmstar", tmp_path, "--json")
    assert (code, json.loads(out)["spectra_unchanged"]) == (0, 2)


def test_a_star_with_an_apstar_row_keeps_one_source_after_an_allstar_table(db, mwmstar, table):
    ingest_mwmstar(mwmstar({}))
    row = {"FILE": f"apStar-dr17-{STAR}.fits", "APOGEE_ID": STAR, "FIELD": "M67", "TELESCOPE": "apo25m"}

    ingest_allstar(table("allStar-dr17.fits", [row]))

    assert Source.select().count() == 1
