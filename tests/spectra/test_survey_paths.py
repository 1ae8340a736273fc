"""The paths of spectra are those of the survey's package sdss-access, in every release.

Importing it sets 85 environment variables, SAS_BASE_DIR and MWM_ASTRA among them: it runs in a process of its
own.
"""

import importlib.util
import json
import os
import random
import subprocess
import sys

import pytest

from astra.spectra.identity import identify, name_of, parse_path

BASE = "/sas"
#: Reads templates with their keywords, and writes the paths; null where a release has no such template.
SCRIPT = """
import functools, json, sys
from sdss_access.path import Path

tree = functools.cache(lambda release: Path(release=release))

def full(release, template, keywords):
    paths = tree(release)
    return paths.full(template, **keywords) if template in paths.templates else None

print(json.dumps([full(*each) for each in json.load(sys.stdin)]))
"""
OBJECTS = ("2M06154934-0100415", "2M17334253-1654573", "VESTA", "AP07235021-0022330", "2M23595959+8959599-1")
FIELDS = ("N6819", "060+00", "K01_082+17", "260-60-RM_lco", "RM_XMM-LSS", "12_Boo", "5226")
#: The public releases of SDSS-III and SDSS-IV, their reductions, and the telescopes of these.
BY_FIELD = {
    "DR12": ("r5", ["apo25m", "apo1m"]),
    "DR13": ("r6", ["apo25m", "apo1m"]),
    "DR14": ("r8", ["apo25m", "apo1m"]),
    "DR16": ("r12", ["apo25m", "lco25m", "apo1m"]),
    "DR17": ("dr17", ["apo25m", "lco25m", "apo1m"]),
}
#: The releases of SDSS-V as sdss-access calls them, and as ``--release`` takes them.
BY_HEALPIX = {"DR19": "dr19", "DR20": "dr20", "sdsswork": "sdss5"}
BY_HEALPIX |= {f"ipl{number}": f"ipl-{number}" for number in (1, 2, 3, 4)}


def _paths_of_the_survey(requests):
    if importlib.util.find_spec("sdss_access") is None:
        pytest.skip("needs the package sdss-access")
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "SAS_BASE_DIR": BASE}
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=json.dumps(requests),
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    paths = json.loads(found.stdout.splitlines()[-1])
    return [path and path.removeprefix(f"{BASE}/") for path in paths]


def _assert_equal(cases):
    """Compare the paths of products with those of the requests beside them."""
    products, requests = zip(*cases, strict=True)
    ours = [product.sas_path for product in products]
    assert ours == _paths_of_the_survey(requests)
    assert None not in ours


def _row(asked=None, **facts):
    """A product as a table states it that names no file."""
    return identify(name_of(facts), facts, release=asked)


def test_paths_by_field_are_those_of_the_survey():
    cases = []
    for release, (apred, telescopes) in BY_FIELD.items():
        for telescope in telescopes:
            prefix = "as" if telescope == "lco25m" else "ap"
            for number, (obj, field) in enumerate((obj, field) for obj in OBJECTS for field in FIELDS):
                facts = {"obj": obj, "apred": apred, "telescope": telescope, "field": field}
                facts |= {"location_id": 4000 + number}
                # Until DR14 folders are named after LOCATION_ID, which the survey's template calls a field.
                is_named = apred in ("r12", "dr17") or telescope == "apo1m"
                keywords = {"apred": apred, "apstar": "stars", "telescope": telescope, "prefix": prefix}
                keywords |= {"obj": obj, "reduction": obj, "field": field if is_named else 4000 + number}
                template = "apStar-1m" if telescope == "apo1m" else "apStar"
                named = parse_path(f"{prefix}Star-{apred}-{obj}.fits")
                cases.append((_row(**facts), (release, template, keywords)))
                cases.append((identify(named, facts), (release, template, keywords)))

    _assert_equal(cases)


def test_paths_of_dr10_are_those_of_the_survey():
    cases = []
    for number, obj in enumerate(OBJECTS, 4100):
        facts = {"obj": obj, "telescope": "apo25m", "field": "M15", "location_id": number}
        keywords = {"apred": "r3", "apstar": "s3", "obj": obj, "field": number}
        named = identify(parse_path(f"apStar-s3-{obj}.fits"), facts)
        cases += [(each, ("DR10", "apStar", keywords)) for each in (named, _row(apred="r3", **facts))]

    _assert_equal(cases)


def test_paths_by_healpix_are_those_of_the_survey():
    chance = random.Random(19)
    pixels = [0, 999, 1000, 196_607, *(chance.randrange(196_608) for _ in range(20))]
    cases = []
    for release, asked in BY_HEALPIX.items():
        for telescope in ("apo25m", "lco25m", "apo1m"):
            for obj, healpix in ((chance.choice(OBJECTS), healpix) for healpix in pixels):
                keywords = {"apred": "1.3", "obj": obj, "telescope": telescope, "healpix": healpix}
                request = (release, "apStar", keywords)
                cases.append((_row(asked=asked, **keywords), request))
                # The names of files of both hemispheres begin with apStar.
                name = parse_path(f"apStar-1.3-{telescope}-{obj}.fits")
                cases.append((identify(name, {"healpix": healpix}, release=asked), request))

    _assert_equal(cases)


def test_spectra_of_the_1_m_telescope_lie_by_field_in_sdss_5_as_well():
    facts = {"apred": "1.3", "obj": OBJECTS[0], "telescope": "apo1m", "field": "hip"}
    keywords = facts | {"reduction": OBJECTS[0], "apstar": "stars"}
    releases = BY_HEALPIX.keys() - {"ipl1", "ipl2"}

    _assert_equal(
        [(_row(asked=BY_HEALPIX[each], **facts), (each, "apStar-1m", keywords)) for each in releases]
    )


def test_for_what_there_is_no_path_the_survey_has_no_template_either():
    keywords = {"apred": "r8", "apstar": "stars", "telescope": "apo25m", "prefix": "ap", "obj": "X"}
    keywords |= {"field": "M67", "healpix": 7}
    requests = [("DR18", "apStar", keywords), ("DR9", "apStar", keywords)]
    # Files of the commissioning are named as their tables name them.
    releases = ("DR10", *BY_FIELD, *BY_HEALPIX)
    requests += [(release, kind, keywords) for release in releases for kind in ("apStarC", "asStar")]

    assert set(_paths_of_the_survey(requests)) == {None}


def test_dr15_published_the_reduction_of_dr14_again():
    facts = {"obj": "X", "apred": "r8", "telescope": "apo25m", "field": "M67", "location_id": 4123}
    keywords = facts | {"apstar": "stars", "prefix": "ap", "field": 4123}

    (path,) = _paths_of_the_survey([("DR15", "apStar", keywords)])

    assert path.replace("dr15/", "dr14/") == _row(**facts).sas_path
