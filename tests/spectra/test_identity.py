"""One product has one identity, read off a file name, its folders, a header or a row of a table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astra.errors import UsageError
from astra.spectra.identity import (
    TELESCOPES,
    Product,
    identify,
    parse_path,
    release_rank,
)

OBJ = "2M06154934-0100415"


def _product(path, release="sdss5", **facts):
    return identify(parse_path(path), facts, release=release)


# > Layouts, as published


LAYOUTS = {
    "dr10/apogee/spectro/redux/r3/s3/4102/apStar-s3-2M06154934-0100415.fits": (
        {"field": "M15", "location_id": 4102},
        "apstar/dr10/r3/apo25m/m15/2M06154934-0100415/ap/s",
    ),
    "dr12/apogee/spectro/redux/r5/stars/apo25m/4123/apStar-r5-2M06154934-0100415.fits": (
        {"field": "210-08", "location_id": 4123},
        "apstar/dr12/r5/apo25m/210-08/2M06154934-0100415/ap/s",
    ),
    "dr12/apogee/spectro/redux/r5/stars/apo25m/4123/apStarC-r5-2M06154934-0100415.fits": (
        {"field": "210-08", "location_id": 4123},
        "apstar/dr12/r5/apo25m/210-08/2M06154934-0100415/ap/c",
    ),
    "dr13/apogee/spectro/redux/r6/stars/apo1m/hip/apStar-r6-2M06154934-0100415.fits": (
        {},
        "apstar/dr13/r6/apo1m/hip/2M06154934-0100415/ap/s",
    ),
    "dr14/apogee/spectro/redux/r8/stars/apo25m/4263/apStar-r8-2M06154934-0100415.fits": (
        {"field": "N6819", "location_id": 4263},
        "apstar/dr14/r8/apo25m/n6819/2M06154934-0100415/ap/s",
    ),
    "dr16/apogee/spectro/redux/r12/stars/apo25m/060+00/apStar-r12-2M06154934-0100415.fits": (
        {},
        "apstar/dr16/r12/apo25m/060+00/2M06154934-0100415/ap/s",
    ),
    "dr17/apogee/spectro/redux/dr17/stars/lco25m/260-60-RM_lco/asStar-dr17-2M06154934-0100415.fits": (
        {},
        "asstar/dr17/dr17/lco25m/260-60-rm_lco/2M06154934-0100415/as/s",
    ),
    "sdsswork/mwm/apogee/spectro/redux/1.3/stars/lco25m/103/103456/asStar-1.3-lco25m-2M0-01.fits": (
        {},
        "asstar/sdss5/1.3/lco25m/103456/2M0-01/as/s",
    ),
}


@pytest.mark.parametrize("path", LAYOUTS)
def test_a_published_path_gives_the_identity_and_the_identity_gives_the_path(path):
    facts, product_id = LAYOUTS[path]

    product = _product(f"/anywhere/{path}", **facts)

    assert product.product_id == product_id
    assert product.sas_path == path


def test_a_later_public_release_has_its_own_root():
    product = _product("apStar-1.3-lco25m-X.fits", release="DR19", healpix=103456)

    assert product.sas_path.startswith("dr19/spectro/apogee/redux/1.3/stars/lco25m/103/103456/")
    assert product.product_id == "apstar/dr19/1.3/lco25m/103456/X/ap/s"


@pytest.mark.parametrize(
    ("path", "facts"),
    [("apStar-r5-X.fits", {"field": "M67"}), ("apStar-dr17-X.fits", {}), ("apStar-1.3-apo25m-X.fits", {})],
)
def test_without_the_part_that_names_the_folder_there_is_no_path(path, facts):
    assert _product(path, **facts).sas_path is None


# > Which facts count


def test_a_file_that_was_moved_to_a_flat_folder_keeps_its_identity():
    here = _product("apStar-r6-X.fits.gz", field="M67", telescope="apo25m", location_id=4123)
    there = _product("/sas/r6/stars/apo25m/4123/apStar-r6-X.fits", field="M67 ".strip())

    assert here == there
    assert here.product_id == there.product_id


def test_location_id_is_no_part_of_the_identity():
    one, other = (_product("apStar-r6-X.fits", field="M67", location_id=number) for number in (1, 2))

    assert one == other


def test_the_header_goes_before_the_name():
    product = _product(
        "/sas/r5/stars/apo25m/4123/apStarC-r5-A.fits",
        apred="r6",
        telescope="apo1m",
        field="hip",
        obj="B",
        commissioning=0,
    )

    assert product.product_id == "apstar/dr13/r6/apo1m/hip/B/ap/s"
    assert product.reduction == "A"


def test_commissioning_data_are_another_product_by_name_or_by_header():
    by_name, by_header = _product("apStarC-r5-X.fits"), _product("apStar-r5-X.fits", commissioning=1)

    assert by_name.product_id == by_header.product_id == "apstar/dr12/r5/apo25m//X/ap/c"
    assert by_name.product_id != _product("apStar-r5-X.fits").product_id


@pytest.mark.parametrize("version", ["v402", "8f2c1aa", "trunk"])
def test_the_version_of_the_software_is_not_taken_for_that_of_the_reduction(version):
    assert _product("apStar-r8-X.fits", apred=version).apred == "r8"


def test_the_telescope_comes_from_the_header_then_the_folder_then_the_prefix():
    folder = "/sas/dr17/stars/apo1m/hip/apStar-dr17-X.fits"

    assert _product(folder, telescope="lco25m").telescope == "lco25m"
    assert _product(folder, telescope="SDSS 2.5-M").telescope == "apo1m"
    assert _product("apStar-dr17-X.fits").telescope == "apo25m"
    assert _product("asStar-dr17-X.fits").telescope == "lco25m"


def test_a_field_of_digits_is_a_field_where_folders_are_named_after_fields():
    assert _product("/sas/r12/stars/apo25m/5226/apStar-r12-X.fits").field == "5226"
    assert _product("/sas/r8/stars/apo25m/5226/apStar-r8-X.fits").field == ""


def test_the_last_night_in_a_name_is_no_part_of_the_object():
    dated = parse_path("apStar-daily-apo25m-2M06154934-0100415-59814.fits")

    assert (dated.obj, dated.last_night) == (OBJ, "59814")
    assert parse_path(f"apStar-r5-{OBJ}.fits").obj == OBJ


def test_in_sdss_5_the_pixel_takes_the_place_of_the_field():
    product = _product("apStar-1.3-apo25m-X.fits", field="RM_XMM-LSS", healpix=7)

    assert product.field == ""
    assert product.product_id == "apstar/sdss5/1.3/apo25m/7/X/ap/s"


@pytest.mark.parametrize(
    "name",
    [
        "apVisit-r5-5214-55813-062.fits",
        "aspcapStar-r5-X.fits",
        "apStar-r5-X.txt",
        "apStar.fits",
        "allStar-v603.fits",
    ],
)
def test_other_files_are_no_products(name):
    assert parse_path(name) is None


# > Releases


def test_an_unknown_reduction_asks_for_the_release_and_names_the_file():
    with pytest.raises(UsageError, match=r"/x/apStar-1\.3-apo25m-X\.fits.*'1\.3'.*--release sdss5"):
        identify(parse_path("apStar-1.3-apo25m-X.fits"), {}, what="/x/apStar-1.3-apo25m-X.fits")


@pytest.mark.parametrize("word", ["dr 17/x", "foo", "dr191"])
def test_a_release_that_cannot_be_one_is_refused(word):
    with pytest.raises(UsageError, match=f"not a data release: '{word}'"):
        _product("apStar-1.3-apo25m-X.fits", release=word)


def test_a_known_reduction_tells_its_release_whatever_is_asked_for():
    assert _product("apStar-r12-X.fits", release="sdss5").release == "dr16"


def test_releases_are_ordered_by_number_and_the_internal_one_is_the_newest():
    releases = ["mine", "dr9", "dr10", "dr17", "ipl3", "dr19", "ipl4", "dr20", "sdss5"]

    assert sorted(sorted(releases), key=release_rank) == releases


@pytest.mark.parametrize("asked", ["ipl3", "ipl-3", "IPL-3"])
def test_a_release_for_the_collaboration_has_one_name_and_its_own_root(asked):
    product = _product("apStar-1.3-apo25m-X.fits", release=asked, healpix=103456)

    assert product.product_id == "apstar/ipl3/1.3/apo25m/103456/X/ap/s"
    assert product.sas_path.startswith("ipl-3/spectro/apogee/redux/1.3/stars/apo25m/103/103456/")


# > Properties

_WORDS = st.text("abcXYZ0189+_.", min_size=1, max_size=8)


@given(
    apred=st.sampled_from(["r3", "r5", "r6", "r8", "r12", "dr17", "1.3"]),
    telescope=st.sampled_from(TELESCOPES),
    field=_WORDS.filter(lambda text: not text.isdigit()),
    obj=_WORDS,
    location_id=st.integers(1, 30_000),
    healpix=st.integers(0, 196_607),
    commissioning=st.booleans(),
)
def test_what_is_written_into_a_path_can_be_read_back(
    apred, telescope, field, obj, location_id, healpix, commissioning
):
    facts = {"field": field, "location_id": location_id, "telescope": telescope, "healpix": healpix}
    prefix = "as" if telescope == "lco25m" else "ap"
    middle = f"{telescope}-" if apred == "1.3" else ""
    name = f"{prefix}Star{'C' if commissioning else ''}-{apred}-{middle}{obj}.fits"
    product = _product(name, **facts)

    again = identify(parse_path(product.sas_path), {"field": field, "telescope": telescope}, release="sdss5")

    assert isinstance(product, Product)
    assert again == product
    assert again.product_id == product.product_id
    assert product.product_id.count("/") == 7
