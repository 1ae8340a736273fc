"""Work that many hands pass on tells how far it is to whoever listens."""

import threading

import numpy as np
from builders import on_sqlite

from astra.database.waiting import in_batches
from astra.models import Spectrum
from astra.report.arrays import keys, read_arrays
from astra.system.telling import is_heard, listening, tell


def test_nobody_needs_to_listen():
    tell("rows", 1, 2)

    assert not is_heard()


def test_the_innermost_listener_of_the_thread_is_told():
    outer, inner, elsewhere = [], [], []
    with listening(lambda *told: outer.append(told)):
        with listening(lambda *told: inner.append(told)):
            tell("rows", 1, 2)
        tell("pages")
        thread = threading.Thread(target=lambda: elsewhere.append(is_heard()))
        thread.start()
        thread.join()

    assert (outer, inner, elsewhere) == ([("pages", 0, None)], [("rows", 1, 2)], [False])


@on_sqlite
def test_large_changes_and_large_queries_tell_how_far_they_are(db):
    Spectrum.insert_many([{"pk": 10_000 * number} for number in (1, 2, 3)]).execute()
    told = []

    with listening(lambda *each: told.append(each)):
        in_batches(db, "spectrum", "pk", "SELECT pk FROM spectrum WHERE {batch}")
        with db.atomic():
            found = read_arrays(Spectrum.select(Spectrum.pk), {"pk": keys})

    assert told == [
        *(("spectrum", min(5000 * part, 20_001), 20_001) for part in range(1, 6)),
        ("rows", 3, 3),
    ]
    assert np.array_equal(np.sort(found["pk"]), [10_000, 20_000, 30_000])
