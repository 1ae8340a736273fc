"""The tables of an SDSS Astra database, made by peewee as upstream's models make them.

make_tables(database, layout)    the tables of ``astra_database.json``, empty; the models to fill them
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import peewee

#: What the layout does not say: upstream's declarations within fields and in words of SQL.
_UNIQUE = {("source", "sdss_id"), ("source", "sdss4_apogee_id")}
_GENERATED = {"v_astra_major_minor": "GENERATED ALWAYS AS (v_astra / 1000) STORED"}
_CONSTRAINTS = {"astro_nn_dist": ["UNIQUE (spectrum_pk, v_astra_major_minor)"]}
_DEFAULTS = {"TextField": "", "BitField": 0, "IntegerField": -1, "DateTimeField": datetime.now}


def make_tables(
    database: peewee.Database, layout: Mapping[str, Any], schema: str | None = None
) -> dict[str, type[peewee.Model]]:
    """Make the tables.

    Args:
        database: The open database.
        layout: Of each table its columns with the types of peewee and whether they may be null, its unique
            indexes, and the tables that it refers to.
        schema: The schema of the tables, which is made; ``None`` takes the one in force.

    Returns:
        A model of each table, by its name.
    """
    if schema is not None:
        database.execute_sql(f"CREATE SCHEMA {schema}")
    made: dict[str, type[peewee.Model]] = {}
    for table, described in layout.items():

        class Meta:
            constraints = [peewee.SQL(each) for each in _CONSTRAINTS.get(table, ())]
            indexes = [(tuple(columns), True) for columns in described["unique"]]
            table_name = table

        Meta.database, Meta.schema = database, schema
        fields = {
            name: _field(table, name, kind, null, made.get(described["references"].get(name)))
            for name, (kind, null) in described["columns"].items()
            # Upstream leaves it out on SQLite.
            if kind != "BigBitField" or isinstance(database, peewee.PostgresqlDatabase)
        }
        made[table] = type(table, (peewee.Model,), {**fields, "Meta": Meta})
        database.create_tables([made[table]], safe=False)
    return made


def _field(table: str, name: str, kind: str, null: bool, referred: type[peewee.Model] | None) -> peewee.Field:
    options: dict[str, Any] = {"null": null, "unique": (table, name) in _UNIQUE}
    if name in _GENERATED:
        options |= {"constraints": [peewee.SQL(_GENERATED[name])], "_hidden": True}
    elif not null and kind in _DEFAULTS:
        options["default"] = _DEFAULTS[kind]
    if referred is not None:
        return peewee.ForeignKeyField(
            referred, column_name=name, lazy_load=False, backref=f"of_{table}", **options
        )
    return peewee.AutoField() if kind == "AutoField" else getattr(peewee, kind)(**options)
