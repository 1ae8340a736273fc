"""One worker: a chunk is written while the next is computed, and what is written is counted."""

import threading
from collections.abc import Iterable, Iterator

import pytest
from builders import a_chunk, a_run, a_source, a_spectrum

from astra.errors import AstraError
from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist
from astra.running import loop
from astra.running.loop import work
from astra.tasks.contract import task


@pytest.fixture
def chunks(db):
    """Four spectra, two at a time."""
    keys = [a_spectrum(a_source()).spectrum_pk for _ in range(4)]
    return [a_chunk(keys[:2], "toy"), a_chunk(keys[2:], "toy")]


def a_task(before_each):
    @task
    def toy(spectra: Iterable[ApogeeCoaddedSpectrumInApStar]) -> Iterator[AstroNNdist]:
        for spectrum in spectra:
            before_each(spectrum)
            yield AstroNNdist.from_spectrum(spectrum, L_fakemag=7.0)

    return toy


def test_a_chunk_is_written_while_the_next_is_computed(chunks, monkeypatch):
    computing = threading.Event()
    store = loop.store

    def store_when_the_next_is_computed(task, chunk, rows):
        if chunk == chunks[0]:
            assert computing.wait(10)
        return store(task, chunk, rows)

    monkeypatch.setattr(loop, "store", store_when_the_next_is_computed)

    def before_each(spectrum):
        if spectrum.spectrum_pk == chunks[1].keys[0]:
            computing.set()

    results = list(work(a_task(before_each), chunks, {}, a_run().pk))

    assert [result.tally.processed for result in results] == [2, 2]
    assert AstroNNdist.select().count() == 4


def test_a_chunk_that_is_written_counts_when_the_next_fails(chunks):
    def before_each(spectrum):
        if spectrum.spectrum_pk == chunks[1].keys[1]:
            raise ZeroDivisionError

    results = work(a_task(before_each), chunks, {}, a_run().pk)

    assert next(results).tally.processed == AstroNNdist.select().count() == 2
    with pytest.raises(AstraError, match="task toy failed on the spectra .*: ZeroDivisionError"):
        next(results)


def test_the_thread_that_writes_closes_its_connection(chunks, db, monkeypatch):
    open_in, close = {}, db.close

    def closing():
        closed = close()
        open_in[threading.current_thread().name] = not db.is_closed()
        return closed

    monkeypatch.setattr(db, "close", closing)
    list(work(a_task(lambda spectrum: None), chunks, {}, a_run().pk))

    assert open_in == {"astra-writer_0": False}
    assert not db.is_closed()


def test_a_suspect_has_nothing_else_in_hand_beside_it(db, monkeypatch):
    keys = [a_spectrum(a_source()).spectrum_pk for _ in range(3)]
    chunks = [a_chunk([pk], "toy", alone=pk == keys[1]) for pk in keys]
    order, store = [], loop.store

    def noted(task, chunk, rows):
        order.append(("written", chunk.keys))
        return store(task, chunk, rows)

    monkeypatch.setattr(loop, "store", noted)
    toy = a_task(lambda spectrum: order.append(("measured", [spectrum.spectrum_pk])))

    list(work(toy, chunks, {}, a_run().pk))

    assert order == [(what, [pk]) for pk in keys for what in ("measured", "written")]
