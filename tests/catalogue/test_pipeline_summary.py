"""Upstream's function that writes the catalogue."""

import pytest
from builders import a_result, a_run, a_source, a_spectrum

from astra import __version__
from astra.errors import UsageError
from astra.models import AstroNNdist, Source
from astra.products.pipeline_summary import create_astra_all_star_product


def test_it_writes_the_catalogue_and_replaces_it_only_if_asked(db, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    a_result(a_spectrum(a_source()), run_pk=a_run().pk)

    path = create_astra_all_star_product(AstroNNdist)

    assert path.read_bytes()[:6] == b"SIMPLE"
    assert path.name == f"astraAllStarAstroNNdist-{__version__}.fits"
    with pytest.raises(UsageError, match="exists"):
        create_astra_all_star_product(AstroNNdist)
    assert create_astra_all_star_product(AstroNNdist, overwrite=True) == path


def test_what_it_cannot_do_is_refused_with_what_to_write_instead():
    with pytest.raises(TypeError, match="no option 'limit': write `astra create astraAllStarAstroNNdist`"):
        create_astra_all_star_product(AstroNNdist, limit=10)
    with pytest.raises(TypeError, match="no installed task has the results <Model: Source>"):
        create_astra_all_star_product(Source)
