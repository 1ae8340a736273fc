"""Rows and sources at one position, anywhere on the sky; astropy says how far apart they are."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.time import Time
from hypothesis import given
from hypothesis import strategies as st

from astra.ingest.catalogs.positions import Positions, Sky, epochs_of_2mass, positions_in_names

#: Places where coordinates are peculiar: the poles, 0 and 360 degrees.
CENTRES = [(0.0, 0.0), (123.0, 45.0), (0.0, 90.0), (200.0, -90.0), (359.9999, -89.9999), (0.00001, 60.0)]
RADIUS = 1.0


def _positions(ra, dec, pmra=np.nan, pmde=np.nan, epochs=np.nan):
    return Positions(
        *(np.broadcast_to(np.asarray(each, float), len(ra)).copy() for each in (ra, dec, pmra, pmde, epochs))
    )


def _around(centre, offsets):
    """Positions at offsets [arcsec] east and north of a place, by astropy."""
    frame = SkyCoord(*centre, unit="deg").skyoffset_frame()
    east, north = np.array(offsets, float).reshape(-1, 2).T
    found = SkyCoord(east * u.arcsec, north * u.arcsec, frame=frame).transform_to("icrs")
    return found.ra.deg, found.dec.deg


_OFFSETS = st.lists(
    st.tuples(*[st.floats(-3, 3).map(lambda x: round(x, 3))] * 2), min_size=1, max_size=5, unique=True
)


@given(centre=st.sampled_from(CENTRES), sources=_OFFSETS, rows=_OFFSETS)
def test_a_row_is_paired_with_the_nearest_source_if_it_is_the_nearest_of_that(centre, sources, rows):
    (s_ra, s_dec), (r_ra, r_dec) = _around(centre, sources), _around(centre, rows)
    sky = Sky(_positions(s_ra, s_dec), RADIUS)
    sky.compare(np.arange(len(rows)), _positions(r_ra, r_dec))
    found = sky.pairs()

    stars = SkyCoord(s_ra, s_dec, unit="deg")
    apart = np.array(
        [SkyCoord(*each, unit="deg").separation(stars).arcsec for each in zip(r_ra, r_dec, strict=True)]
    )
    # Where two are as near to within rounding, either is right.
    distances = np.sort(apart.ravel())
    if (np.diff(distances) < 1e-5).any() or (abs(distances - RADIUS) < 1e-5).any():
        return
    nearest = {
        (row, source)
        for row, source in np.ndindex(apart.shape)
        if apart[row, source] < RADIUS
        and apart[row, source] == apart[row].min()
        and apart[row, source] == apart[:, source].min()
    }
    assert set(zip(found.rows.tolist(), found.sources.tolist(), strict=True)) == nearest
    assert found.near_two_sources == ((apart < RADIUS).sum(axis=1) > 1).sum()
    assert found.near_two_rows == ((apart < RADIUS).sum(axis=0) > 1).sum()


@pytest.mark.parametrize("centre", [*CENTRES[1:2], (10.0, 89.99), (359.9999, -60.0)])
def test_a_position_moves_as_astropy_moves_it(centre):
    pmra, pmde = -300.0, 1000.0
    motion = {"pm_ra_cosdec": pmra * u.mas / u.yr, "pm_dec": pmde * u.mas / u.yr, "distance": 100 * u.pc}
    star = SkyCoord(*(centre * u.deg), obstime=Time("J2000"), **motion)
    later = star.apply_space_motion(Time("J2016"))

    x, y, z = _positions([centre[0]], [centre[1]], pmra, pmde, 2000.0).vectors(2016.0)[0]

    moved = SkyCoord(x, y, z, representation_type="cartesian").represent_as("unitspherical")
    assert SkyCoord(moved.lon, moved.lat).separation(SkyCoord(later.ra, later.dec)).arcsec < 0.01


def test_a_2mass_position_is_known_by_its_designation_and_so_is_its_epoch():
    names = ["2M06154934-0100415", "2M06154934-0100415", "VESTA", None]
    ra = np.array([93.95561, 93.95571, 93.95561, 93.95561])
    dec = np.array([-1.011551, -1.011551, -1.011551, np.nan])

    epochs = epochs_of_2mass(ra, dec, positions_in_names(names))

    assert epochs[0] == 2000.0
    assert np.isnan(epochs[1:]).all()


@pytest.mark.real
def test_the_survey_has_2mass_positions_in_its_headers(apstar_files):
    from astropy.io import fits

    headers = [fits.getheader(path) for path in apstar_files]
    names = [path.stem.split("-", 2)[2] for path in apstar_files]
    ra, dec = (np.array([header[card] for header in headers]) for card in ("RA", "DEC"))

    assert (epochs_of_2mass(ra, dec, positions_in_names(names)) == 2000.0).all()


def test_a_table_with_an_epoch_for_each_row_is_compared_row_by_row():
    # By 1 arcsec a year to the north, as seen from 2000 on.
    sources = _positions([10.0], [20.0], 0.0, 1000.0, 2000.0)
    epochs = np.arange(1990.0, 2016.0)
    for number, epoch in enumerate(epochs):
        sky = Sky(sources, RADIUS)
        rows = _positions(
            [10.0] * len(epochs), 20 + (epochs[number] - 2000 + np.arange(len(epochs))) / 3600, epochs=epoch
        )
        sky.compare(np.arange(len(epochs)), rows)
        assert sky.pairs().rows.tolist() == [0]


def test_the_typical_shift_is_that_of_the_sources_else_of_the_rows():
    rows = _positions([10.0] * 3, [0.0] * 3, [50.0, 100.0, 150.0], 0.0)
    for sources, expected in (
        (_positions([0.0] * 2, [0.0] * 2, [10.0, 30.0], 0.0), (0.32, 0, 2)),
        (_positions([0.0], [0.0]), (1.6, 2, 3)),
    ):
        sky = Sky(sources, RADIUS)
        sky.compare(np.arange(3), rows)
        assert sky.shift(16.0) == pytest.approx(expected)
