"""Every value of a table with the published columns is in its column, in every release."""

import itertools

import numpy as np
import pytest
from astropy.io import fits
from builders import on_sqlite
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from astra.ingest.allstar import ingest_allstar
from astra.ingest.apstar import ingest_apstar
from astra.ingest.source_rows import VALUE_COLUMNS
from astra.ingest.values import BAILER_JONES
from astra.models import ApogeeCoaddedSpectrumInApStar, Source
from astra.pipelines.astronn_dist.distances.clean import Criterion, judge
from astra.pipelines.astronn_dist.distances.distance import NAMES, Stars

_numbers = itertools.count(1)
_CODES = {"bool": "L", "int16": "I", "int32": "J", "int64": "K", "int63": "K", "float32": "E", "float64": "D"}

# > The column that gives each of our values

_COMMON = {"ra": "RA", "dec": "DEC", "l": "GLON", "b": "GLAT", "n_visits": "NVISITS", "snr": "SNR"}
_COMMON |= {"spectrum_flags": "STARFLAG", "e_v_rad": "VERR"}
_SDSS4 = _COMMON | {"j_mag": "J", "e_j_mag": "J_ERR", "h_mag": "H", "e_h_mag": "H_ERR", "k_mag": "K"}
_SDSS4 |= {"e_k_mag": "K_ERR", "v_rad": "VHELIO_AVG", "ebv": "AK_TARG"}
_OF_GAIA = ("gaia_dr3_source_id", "plx", "e_plx", "pmra", "e_pmra", "pmde", "e_pmde")
_OF_GAIA += ("g_mag", "bp_mag", "rp_mag")


def _gaia(prefix, names):
    return dict(zip(_OF_GAIA, (prefix + name for name in names.split()), strict=True))


_ARCHIVE = "SOURCE_ID PARALLAX PARALLAX_ERROR PMRA PMRA_ERROR PMDEC PMDEC_ERROR"
_ARCHIVE += " PHOT_G_MEAN_MAG PHOT_BP_MEAN_MAG PHOT_RP_MEAN_MAG"
_SDSS5 = "sourceid plx plx_error pmra pmra_error pmdec pmdec_error gmag bpmag rpmag"
_2MASS = {"j_mag": "jmag", "e_j_mag": "jerr", "h_mag": "hmag", "e_h_mag": "herr", "k_mag": "kmag"}
_DR19 = {name: column.lower() for name, column in _COMMON.items()} | _2MASS | _gaia("gaia_", _SDSS5)
_DR19 |= {"e_k_mag": "kerr", "v_rad": "vrad", "sdss_id": "sdss_id", "healpix": "healpix"}
_STARS = {name: name for name in ("sdss_id", "healpix", "ra", "dec", "l", "b", *_OF_GAIA)}
_STARS |= {f"{e}{band}_mag": f"{e}{band}_mag" for e in ("", "e_") for band in "jhk"}
_STARS |= {name: name for name in ("ph_qual", "cc_flg", "ebv", "e_ebv", "ebv_flags")}
_STARS |= {name: name for name in BAILER_JONES}
_MWM = _STARS | {name: name for name in ("n_visits", "snr", "spectrum_flags", "v_rad", "e_v_rad")}
ALLSTAR = {
    **dict.fromkeys(("DR10", "DR12", "DR13", "DR14"), _SDSS4),
    # The identifiers of DR2 are other numbers than those of DR3.
    "DR16": _SDSS4 | {name: column for name, column in _gaia("GAIA_", _ARCHIVE).items() if "id" not in name},
    "DR17": _SDSS4
    | _gaia("GAIAEDR3_", _ARCHIVE)
    | {name: f"GAIAEDR3_{name.upper()}" for name in BAILER_JONES},
    "DR19": _DR19,
}
#: The tables: their kind, their release, the HDU, and the columns.
NAMING_FILES = [("allStar", release, "hdu1", columns) for release, columns in ALLSTAR.items()]
NAMING_NONE = [
    (kind, release, "hdu2", _MWM)
    for kind in ("mwmAllStar", "astraAllStarAstroNNdist")
    for release in ("DR19", "DR20")
]
OF_STARS = [("mwmTargets", release, "hdu1", _STARS) for release in ("DR19", "DR20")]
SPECTRA = [*NAMING_FILES, *NAMING_NONE]
FILES = {"DR10": "s3", "DR12": "r5", "DR13": "r6", "DR14": "r8", "DR16": "r12", "DR17": "dr17"}
GAIA = {"DR16": "dr2", "DR17": "edr3", "DR19": "dr3", "DR20": "dr3"}
WHOLE = {"n_visits", "spectrum_flags", "sdss_id", "gaia_dr3_source_id", "healpix", "ebv_flags"}
#: What every table of spectra has.
NEEDED = {"FILE", "APOGEE_ID", "TELESCOPE", "FIELD", "LOCATION_ID"}
NEEDED |= {"file", "apogee_id", "telescope", "healpix", "obj", "apred", "field", "release", "gaia_release"}
_MEASURED = ("n_visits", "snr", "spectrum_flags", "v_rad", "e_v_rad")


# > Tables as they are published


def _values(columns, number):
    """A value for each of our columns, another one in each; every ``number`` is another star."""
    values = {name: n if name in WHOLE else n / 16 for n, name in enumerate(columns, 1)}
    texts = {
        "ph_qual": "ABC",
        "cc_flg": "0d0",
        "sdss_id": 1000 + number,
        "gaia_dr3_source_id": 2**62 + number,
    }
    return values | {name: value for name, value in texts.items() if name in columns}


def _written(path, kind, release, layout, given):
    """A table of one star with the columns of a layout; those that nothing is given for have other values."""
    others = {"char": "other", "bool": True, "float": 77.5, "int": 77}
    columns = []
    for name, (type_name, unit) in layout.items():
        base, _, size = type_name.rstrip("]").partition("[")
        value = given.get(name, next(other for start, other in others.items() if base.startswith(start)))
        if base == "char":
            # Some widths are those of an empty table.
            code, content = f"{max(int(size or 1), len(value), 1)}A", np.array([value])
        else:
            code, content = f"{size}{_CODES[base]}", np.array([value])
            content = np.broadcast_to(content[:, None], (1, int(size))) if size else content
        columns.append(fits.Column(name, code, unit=unit or None, array=content))
    hdus = [fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns)]
    if kind in ("mwmAllStar", "astraAllStarAstroNNdist"):
        # The stars of BOSS come first.
        hdus.insert(1, fits.BinTableHDU.from_columns([fits.Column("sdss_id", "K", array=[5])]))
    fits.HDUList(hdus).writeto(path)
    return path


def _given(release, columns, values, obj):
    """What stands in a table, by its columns."""
    given = {column: values[name] for name, column in columns.items()}
    words = {"FILE": f"apStar-{FILES.get(release, '1.3-apo25m')}-{obj}.fits", "APOGEE_ID": obj}
    words |= {"TELESCOPE": "apo25m", "OBJ": obj, "APRED": "1.3", "RELEASE": "sdss5", "PREFIX": "ap"}
    words |= {"FILETYPE": "apStar", "SDSS4_APOGEE_ID": obj, "FIELD": "M67", "GAIA_RELEASE": "gaia_dr3"}
    given |= words | {name.lower(): word for name, word in words.items()}
    return given | {"COMMISS": 0, "LOCATION_ID": 4123, "AK_TARG_METHOD": "none", "SFD_EBV": -9999.99}


def _assert_stored(release, columns, values, obj):
    """Compare the rows of a star with the values that the columns gave; all others are absent."""
    (star,) = Source.select().where(Source.sdss4_apogee_id == obj)
    (spectrum,) = ApogeeCoaddedSpectrumInApStar.select().where(ApogeeCoaddedSpectrumInApStar.obj == obj)
    found = {name: spectrum.__data__[name] for name in _MEASURED if name in columns}
    found |= {name: star.__data__[name] for name in ("sdss_id", *VALUE_COLUMNS)}
    expected = dict.fromkeys(found) | {name: values[name] for name in columns}
    if columns.get("ebv") == "AK_TARG":
        expected["ebv"] = pytest.approx(values["ebv"] / 0.3517, rel=1e-6)
    # What follows from other columns has tests of its own.
    derived = {"ebv_origin"} | ({"ebv", "e_ebv", "ebv_flags"} - columns.keys())
    measured = columns.keys() & ({*_OF_GAIA} - {"gaia_dr3_source_id"})
    expected["gaia_release"] = GAIA.get(release) if measured else None
    absent = {name: value if value == value else None for name, value in found.items()}
    assert {n: v for n, v in absent.items() if n not in derived} == {
        n: v for n, v in expected.items() if n not in derived
    }


def _ingested(published, folder, table, *, without=frozenset()):
    kind, release, hdu, columns = table
    layout = published(kind)[release]["hdus"][hdu]["columns"]
    assert {*columns.values()} <= layout.keys()
    number = next(_numbers)
    obj, values = f"2M{number:08d}+0000000", _values(columns, number)
    given = _given(release, columns, values, obj)
    layout = {name: each for name, each in layout.items() if name in NEEDED or name not in without}
    path = _written(folder / f"{kind}-{number}.fits", kind, release, layout, given)
    ingest_allstar(path, release="dr19")
    # What describes a value comes and goes with it.
    labels = set() if columns.get("ebv") in layout else {"e_ebv", "ebv_flags"}
    kept = {name: column for name, column in columns.items() if column in layout and name not in labels}
    _assert_stored(release, kept, values, obj)


def _label(table):
    return f"{table[0]}-{table[1]}"


@pytest.mark.parametrize("table", SPECTRA, ids=_label)
def test_every_column_gives_its_value(db, published, tmp_path, table):
    _ingested(published, tmp_path, table)


@pytest.mark.parametrize("table", [*OF_STARS, *NAMING_NONE], ids=_label)
def test_every_column_of_a_catalogue_gives_its_value(db, published, apstar, tmp_path, table):
    kind, release, hdu, columns = table
    layout = published(kind)[release]["hdus"][hdu]["columns"]
    values, obj = _values(columns, 1), "2M00000001+0000000"
    given = _given(release, columns, values, obj)
    path = _written(tmp_path / f"{kind}-0.6.0.fits.gz", kind, release, layout, given)
    blank = dict.fromkeys(("J", "H", "K", "RA", "DEC", "SNR", "NVISITS"))

    ingest_apstar([apstar(f"apStar-dr17-{obj}.fits", OBJID=obj, **blank)], catalog=path)

    _assert_stored(release, {name: columns[name] for name in _STARS}, values, obj)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), table=st.sampled_from(SPECTRA))
def test_columns_that_are_not_there_leave_their_values_absent(db, published, tmp_path, data, table):
    without = data.draw(st.sets(st.sampled_from(sorted({*table[3].values()}))), label="without")

    _ingested(published, tmp_path, table, without=without)


# > What the columns suffice for

#: A giant out of the plane, in the columns that its release has.
_GIANT = {"ra": 192.8, "dec": 27.1, "l": 122.0, "b": 89.9, "snr": 150.0, "spectrum_flags": 0}
_GIANT |= {"j_mag": 9.66, "h_mag": 9.09, "k_mag": 9.0, "e_j_mag": 0.02, "e_h_mag": 0.02, "e_k_mag": 0.02}
_GIANT |= {"ph_qual": "AAA", "cc_flg": "000", "ebv": 0.01, "e_ebv": 0.01, "ebv_flags": 2}
_GIANT |= {"plx": 0.5, "e_plx": 0.02, "g_mag": 12.0, "bp_mag": 12.6, "rp_mag": 11.3}


@on_sqlite
@pytest.mark.parametrize("table", SPECTRA, ids=_label)
def test_in_no_release_a_star_is_unclean_for_what_is_not_published(db, published, tmp_path, table):
    kind, release, hdu, columns = table
    layout = published(kind)[release]["hdus"][hdu]["columns"]
    values, obj = _values(columns, 1), "2M00000001+0000000"
    values |= {name: value for name, value in _GIANT.items() if name in columns}
    given = _given(release, columns, values, obj) | {"SFD_EBV": 0.01}

    ingest_allstar(_written(tmp_path / f"{kind}.fits", kind, release, layout, given), release="dr19")

    star = Source.get(Source.sdss4_apogee_id == obj)
    stars = Stars.of({name: getattr(star, name) for name in NAMES}, 1)
    not_clean, not_checked = judge(stars, np.full((3, 1), 0.9), np.zeros(1))
    assert Criterion(int(not_clean[0])) == Criterion(0)
    assert (Criterion.EXTINCTION in Criterion(int(not_checked[0]))) == ("ebv" not in columns)
