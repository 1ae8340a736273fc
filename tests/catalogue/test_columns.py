"""What a column says of itself: a UCD of the vocabulary, a unit that astropy knows, a description."""

import pytest
from astropy import units
from astropy.io.votable.ucd import check_ucd

from astra.catalogue.columns import PUBLISHED, Kind, columns
from astra.catalogue.options import Names
from astra.models import Distance, Source
from astra.pipelines.astronn_dist import astronn_dist


@pytest.mark.parametrize("column", columns(astronn_dist, mixed=True), ids=lambda column: column.key)
def test_a_column_has_a_ucd_of_the_vocabulary_a_description_and_a_unit(column):
    assert check_ucd(column.ucd, check_controlled_vocabulary=True)
    assert "[" not in column.description
    if column.unit:
        assert units.Unit(column.unit).to_string("fits")
    if column.kind is not Kind.DOUBLE:
        assert column.unit is None


def test_all_that_is_known_of_a_star_and_its_result_is_a_column():
    keys = {column.key for column in columns(astronn_dist)}

    left_out = {field.column_name for field in Source._meta.sorted_fields} - keys
    assert left_out == {"pk", "origins"}
    assert {field.column_name for field in Distance._meta.sorted_fields} - keys == {"v_astra_major_minor"}


@pytest.mark.parametrize("names", Names)
def test_no_two_names_differ_only_in_upper_and_lower_case(names):
    called = [column.name.lower() for column in columns(astronn_dist, names, mixed=True)]

    assert len(set(called)) == len(called)


def test_every_renamed_column_is_there():
    assert PUBLISHED.keys() < {column.key for column in columns(astronn_dist)}
    renamed = {
        column.key: column.name for column in columns(astronn_dist, Names.DR19) if column.name != column.key
    }
    assert renamed == PUBLISHED
