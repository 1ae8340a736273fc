"""A database of SDSS Astra for tests, its tables made as it makes them: to be filled and ingested."""

from contextlib import closing
from datetime import datetime

import peewee
from upstream_tables import make_tables

from astra.config import load_settings
from astra.ingest.astra_database import Done, ingest_astra, look_at, open_upstream, upstream_settings

OBJ = "2M06154934-0100415"
SCHEMA = "astra_080"
STAR = {"sdss_id": 54_321, "sdss4_apogee_id": OBJ, "k_mag": 9.028, "ebv": 0.25, "ebv_flags": 2}
DR17 = {"release": "dr17", "apred": "dr17", "telescope": "apo25m", "field": "210-08", "prefix": "ap"}
SDSS5 = {"release": "sdss5", "apred": "1.3", "telescope": "lco25m", "healpix": 10_105, "prefix": "as"}
COADD = "apogee_coadded_spectrum_in_ap_star"


class AnUpstream:
    """A database of SDSS Astra, to be filled and ingested."""

    def __init__(self, database: peewee.Database, address: str, schema: str | None, layout: dict) -> None:
        self.database, self.address, self.schema = database, address, schema
        self.tables = make_tables(database, layout, schema)

    def add(self, star: dict | None = STAR, **spectrum) -> int | None:
        """Add a star with one spectrum, or a spectrum without a star; gives the key of the star."""
        pk = None
        if star is not None:
            source = self.tables["source"]
            known = source.get_or_none(sdss_id=star.get("sdss_id", -1))
            pk = known.pk if known else source.create(**star).pk
        key = self.tables["spectrum"].create().pk
        self.tables[COADD].create(
            **{"source_pk": pk, "spectrum_pk": key, "apstar": "stars", "obj": OBJ, **(spectrum or DR17)}
        )
        return pk

    def change(self, table: str, *, since: datetime | None = None, **values) -> None:
        """Change all rows of a table, at a time."""
        self.tables[table].update(values | {"modified": since or datetime(2026, 3, 1, 12)}).execute()

    def ingest(self, *, since: datetime | None = None, **options) -> Done:
        """Ingest it as the command does."""
        with closing(open_upstream(upstream_settings(load_settings(), self.address, self.schema))) as opened:
            return ingest_astra(look_at(opened, incremental=since is not None), since=since, **options)
