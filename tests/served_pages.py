"""The pages of ``astra serve``, asked for in this process.

uncounted()    in place of progress on a terminal
opened()       the pages of what is served, without a server
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import Any

from astra.serve.serving import Served, site_of


def uncounted() -> nullcontext:
    return nullcontext(lambda done, total=None: None)


class Pages:
    """Asks for pages below that of the database."""

    def __init__(self, site, served: Served, run: Callable[[Coroutine], Any]) -> None:
        self.database, self._ask = site.databases[served.name], site.client.get
        self._start, self._run = site.urls.database(served.name), run

    def get(self, address: str, **headers: str) -> Any:
        return self._run(self._ask(f"{self._start}{address}", headers=headers))

    def json(self, address: str) -> dict[str, Any]:
        page = self.get(address)
        assert page.status_code == 200, page.text
        return page.json()

    def rows(self, address: str) -> list[dict[str, Any]]:
        found = self.json(address)
        return [dict(zip(found["columns"], row, strict=True)) for row in found["rows"]]


@contextmanager
def opened(served: Served) -> Iterator[Pages]:
    # In a thread of its own: the browser of other tests may have a loop in this one.
    with site_of(served) as site, ThreadPoolExecutor(1) as thread:
        loop = thread.submit(asyncio.Runner).result()
        try:
            yield Pages(site, served, lambda asked: thread.submit(loop.run, asked).result())
        finally:
            thread.submit(loop.close).result()
