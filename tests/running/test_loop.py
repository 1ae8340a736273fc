"""One worker: a chunk is written while the next is computed, and what is written is counted."""

import threading
from collections.abc import Iterable, Iterator

import pytest
from builders import a_run, a_source, a_spectrum

from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist
from astra.running import loop
from astra.running.loop import work
from astra.tasks import task


@pytest.fixture
def chunks(db):
    """The keys of four spectra, two at a time."""
    keys = [a_spectrum(a_source()).spectrum_pk for _ in range(4)]
    return [keys[:2], keys[2:]]


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

    def store_when_the_next_is_computed(task, rows):
        if rows[0].spectrum_pk == chunks[0][0]:
            assert computing.wait(10)
        return store(task, rows)

    monkeypatch.setattr(loop, "store", store_when_the_next_is_computed)

    def before_each(spectrum):
        if spectrum.spectrum_pk == chunks[1][0]:
            computing.set()

    results = list(work(a_task(before_each), chunks, {}, a_run().pk))

    assert [result.tally.processed for result in results] == [2, 2]
    assert AstroNNdist.select().count() == 4


def test_a_chunk_that_is_written_counts_when_the_next_fails(chunks):
    def before_each(spectrum):
        if spectrum.spectrum_pk == chunks[1][1]:
            raise ZeroDivisionError

    results = work(a_task(before_each), chunks, {}, a_run().pk)

    assert next(results).tally.processed == AstroNNdist.select().count() == 2
    with pytest.raises(ZeroDivisionError):
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
