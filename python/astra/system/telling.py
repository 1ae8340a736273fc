"""How far work is, told to whoever listens: for work that many hands pass on, migrations for one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

#: Told what is done, how much of it, and of how much, if that is known.
Listener = Callable[[str, int, int | None], None]

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Be told, within this context and thread."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def is_heard() -> bool:
    """Whether anybody listens, so that it is worth it to count how much there is."""
    return _listener.get() is not None


def tell(what: str, done: int = 0, total: int | None = None) -> None:
    """Tell how far something is.

    Args:
        what: What is done; another stage of the work is called otherwise.
        done: How much of it.
        total: Of how much.
    """
    if (listener := _listener.get()) is not None:
        listener(what, done, total)
