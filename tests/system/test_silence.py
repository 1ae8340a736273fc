"""Warnings of libraries, silenced in one thread and heard in the others afterwards."""

import threading
import warnings

from astra.system.processes import silenced


def test_a_warning_is_heard_again_afterwards():
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with silenced():
            warnings.warn("of a library", stacklevel=1)
        warnings.warn("of ours", stacklevel=1)

    assert [str(warning.message) for warning in heard] == ["of ours"]


def test_two_threads_that_overlap_leave_the_filters_as_they_were():
    before, inside, leave = list(warnings.filters), threading.Event(), threading.Event()

    def first():
        with silenced():
            inside.set()
            leave.wait(10)

    def second():
        with silenced():
            pass

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    inside.wait(10)
    threads[1].start()
    leave.set()
    for thread in threads:
        thread.join(10)

    assert warnings.filters == before
