"""Maps of the package ``dustmaps``, here a synthetic one in its place: nothing is downloaded."""

import sys
from types import ModuleType

import numpy as np
import pytest

from astra.errors import ConfigError, UsageError
from astra.ingest.apstar import ingest_apstar
from astra.ingest.dust_maps import DustMap
from astra.ingest.extinction import Rule, reddening, rule_of


class Query:
    """E(B-V) is 1 / sin|b|, and absent in the south."""

    def __call__(self, place):
        assert place.frame.name == "galactic"
        return np.where(place.b.deg < 0, np.nan, 1 / np.sin(place.b.rad)).astype(np.float32)


@pytest.fixture
def dustmaps(monkeypatch):
    """Puts a module in the place of one of ``dustmaps``, with a query by this name."""

    def install(name, query, kind):
        module = ModuleType(f"dustmaps.{name}")
        setattr(module, query, kind)
        monkeypatch.setitem(sys.modules, "dustmaps", ModuleType("dustmaps"))
        monkeypatch.setitem(sys.modules, f"dustmaps.{name}", module)

    return install


def test_a_map_gives_the_dust_in_each_direction_that_is_known(dustmaps):
    dustmaps("lenz2017", "Lenz2017Query", Query)

    ebv = DustMap("lenz2017").ebv(np.array([0.0, 10.0, np.nan, 0.0]), np.array([90.0, 30.0, 50.0, -50.0]))

    np.testing.assert_allclose(ebv, [1, 2, np.nan, np.nan], rtol=1e-6)


def test_a_map_comes_last_and_is_an_upper_limit_in_the_plane(dustmaps):
    dustmaps("lenz2017", "Lenz2017Query", Query)
    values = {
        "sfd_ebv": [0.1, None, None, None],
        "b": [50.0, 90.0, 30.0, None],
        "l": [0.0, 0.0, 0.0, None],
        "ra": [None, None, None, 192.859],
        "dec": [None, None, None, 27.128],
    }

    columns = reddening(values, {"sfd_ebv": "SFD_EBV"}, rule_of("auto", "lenz2017"))

    assert columns["ebv"] == pytest.approx([0.0884, 1.0, 2.0, 1.0], rel=1e-4)
    assert columns["ebv_flags"] == [8, 0, 1, 0]
    assert columns["ebv_origin"] == ["0.884 SFD_EBV", "lenz2017", "lenz2017", "lenz2017"]


def test_a_map_is_enough_for_a_header_without_extinction(db, apstar, dustmaps, the_source):
    dustmaps("sfd", "SFDQuery", Query)

    ingest_apstar([apstar("apStar-dr17-X.fits", GLON=0.0, GLAT=90.0)], dust_map="sfd")

    star = the_source()
    assert (star.ebv, star.ebv_flags, star.ebv_origin) == (pytest.approx(0.884), 8, "0.884 sfd")


def test_an_unknown_map_is_refused():
    with pytest.raises(UsageError, match="unknown dust map: 'bayestar'; it is one of sfd, csfd, planck"):
        rule_of("auto", "bayestar")


def test_a_rule_that_takes_no_map_is_refused_with_one():
    with pytest.raises(UsageError, match="--extinction rjce takes no dust map: leave out --dust-map"):
        rule_of("rjce", "sfd")


def test_without_dustmaps_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "dustmaps.sfd", None)

    with pytest.raises(ConfigError, match=r"pip install 'astra-distances\[dustmaps\]'"):
        DustMap("sfd")


def test_without_the_data_of_a_map_it_says_how_to_fetch_them(dustmaps):
    class Empty:
        def __init__(self):
            raise FileNotFoundError("no file\nsfd.fits")

    dustmaps("sfd", "SFDQuery", Empty)

    with pytest.raises(ConfigError) as refused:
        DustMap("sfd")

    fetch = "python -c 'import dustmaps.sfd as m; m.fetch()'"
    message = (
        f"cannot load the dust map sfd (FileNotFoundError: no file sfd.fits); this downloads it: {fetch}"
    )
    assert str(refused.value) == message


def test_the_rule_alone_needs_no_map():
    assert rule_of("auto") == Rule()
