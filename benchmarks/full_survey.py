"""Fills a database with a survey of any size, with values of every kind, and missing ones.

fill(database, stars)    the same rows on SQLite and on PostgreSQL; two spectra of every third star
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import peewee

from astra.database.connection import is_postgresql
from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist, Source, Spectrum, TaskRun
from astra.models.base import BaseModel

WEIGHTS = {
    "weights_name": "survey",
    "weights_sha256": "ab" * 32,
    "seed": 7,
    "n_draws": 100,
    "precision": "float32",
    "options": '{"backend": "astra"}',
}
_PART = 20_000


def fill(database: peewee.Database, stars: int, seed: int = 1) -> int:
    """Fill the empty tables.

    Returns:
        How many spectra there are, all of them with a result row.
    """
    run = TaskRun.create(
        task="astronn_dist", version="0", v_astra_major_minor=1, host="here", pid=1, **WEIGHTS
    ).pk
    spectra = 0
    for first in range(0, stars, _PART):
        some = min(_PART, stars - first)
        generator = np.random.default_rng([seed, first])
        with database.atomic():
            _insert(database, Source, _sources(generator, first, some))
            of_star = [first + n for n in range(some) for _ in range(2 if (first + n) % 3 == 0 else 1)]
            keys = range(spectra, spectra + len(of_star))
            _insert(database, Spectrum, {"pk": [key + 1 for key in keys]})
            _insert(database, ApogeeCoaddedSpectrumInApStar, _spectra(generator, of_star, keys))
            _insert(database, AstroNNdist, _results(generator, of_star, keys, run))
        spectra += len(of_star)
    if is_postgresql(database):
        database.execute_sql("ANALYZE")
    return spectra


def _sources(generator: np.random.Generator, first: int, count: int) -> dict[str, list]:
    table: dict[str, list] = {}
    for field in Source._meta.sorted_fields:
        if isinstance(field, peewee.DoubleField):
            table[field.column_name] = _floats(generator, count)
    keys = [first + n + 1 for n in range(count)]
    table["pk"] = keys
    table["sdss_id"] = _some(generator, [50_000_000 + key for key in keys])
    table["sdss4_apogee_id"] = _some(generator, [f"2M{key:08d}+{key % 9973:07d}" for key in keys])
    table["gaia_dr3_source_id"] = _some(generator, [2**62 + key for key in keys])
    table["healpix"] = _some(generator, [key % 196_608 for key in keys])
    table["ph_qual"] = _some(generator, ["AAA"] * count)
    table["cc_flg"] = _some(generator, ["0c0"] * count)
    table["ebv_flags"] = [key % 128 for key in keys]
    table["ebv_origin"] = _some(generator, [f"catalogue{'x' * (key % 7)}" for key in keys])
    table["gaia_release"] = _some(generator, ["dr3"] * count)
    table["astrometric_params_solved"] = _some(generator, [31] * count)
    return table | _times(keys)


def _spectra(generator: np.random.Generator, of_star: Sequence[int], keys: Sequence[int]) -> dict[str, list]:
    count = len(keys)
    obj = [f"2M{star:08d}+{key:07d}" for star, key in zip(of_star, keys, strict=True)]
    table: dict[str, list] = {
        # One in a hundred has no source.
        "source_pk": [None if key % 100 == 99 else star + 1 for star, key in zip(of_star, keys, strict=True)],
        "spectrum_pk": [key + 1 for key in keys],
        "obj": obj,
        "product_id": [f"apstar/dr17/dr17/apo25m/m67/{name}/ap/s" for name in obj],
        "telescope": [("apo25m", "lco25m", "apo1m")[key % 3] for key in keys],
        "field": [("M67", "", "120+12-O'Neil")[key % 3] for key in keys],
        "n_visits": _some(generator, [key % 9 for key in keys]),
        "spectrum_flags": [(1 << key % 26) if key % 5 == 0 else 0 for key in keys],
        "commissioning": [key % 7 == 0 for key in keys],
    }
    for name, value in {"release": "dr17", "filetype": "apStar", "apred": "dr17", "apstar": "stars"}.items():
        table[name] = [value] * count
    for name in ("snr", "v_rad", "e_v_rad"):
        table[name] = _floats(generator, count)
    return table | {"prefix": ["ap"] * count, "reduction": [""] * count} | _times(keys)


def _results(
    generator: np.random.Generator, of_star: Sequence[int], keys: Sequence[int], run: int
) -> dict[str, list]:
    count = len(keys)
    table: dict[str, list] = {
        field.column_name: _floats(generator, count)
        for field in AstroNNdist._meta.sorted_fields
        if isinstance(field, peewee.DoubleField)
    }
    bits = generator.choice([0, 0, 0, 1, 2, 4, 5, 2048, 2052], count)
    table["l_fakemag"] = [float(value) for value in 10 ** generator.normal(1, 1, count)]
    table["result_flags"] = [int(value) for value in bits]
    table["no_result_reason"] = [
        f"missing: /data/{key}.fits" if bit & 2048 else None for key, bit in zip(keys, bits, strict=True)
    ]
    table["source_pk"] = [star + 1 for star in of_star]
    table["spectrum_pk"] = [key + 1 for key in keys]
    table |= {"run_pk": [run] * count, "v_astra": [1000] * count, "tag": [None] * count}
    table["not_clean"] = [(0, None, 128, 68, 0)[key % 5] for key in keys]
    table["not_checked"] = [(0, None, 0, 64, 128)[key % 5] for key in keys]
    return table | _times(keys)


def _floats(generator: np.random.Generator, count: int) -> list[float | None]:
    return _some(
        generator,
        [float(value) for value in generator.normal(0, 1, count) * 10.0 ** generator.integers(-8, 9, count)],
    )


def _some(generator: np.random.Generator, values: list) -> list:
    absent = generator.random(len(values)) < 0.15
    return [None if gone else value for value, gone in zip(values, absent, strict=True)]


def _times(keys: Sequence[int]) -> dict[str, list]:
    moments = [
        f"2026-11-{1 + key % 25:02d} {key % 24:02d}:{key % 60:02d}:00.{key % 1_000_000:06d}" for key in keys
    ]
    return {"created": moments, "modified": moments}


def _insert(database: peewee.Database, model: type[BaseModel], table: dict[str, list]) -> None:
    names = ", ".join(f'"{name}"' for name in table)
    rows: Iterator[tuple[Any, ...]] = zip(*table.values(), strict=True)
    target = f'INSERT INTO "{model._meta.table_name}" ({names}) VALUES'
    if is_postgresql(database):
        from psycopg2.extras import execute_values

        execute_values(database.cursor(), f"{target} %s", list(rows), page_size=1000)
    else:
        database.cursor().executemany(f"{target} ({', '.join('?' * len(table))})", rows)
