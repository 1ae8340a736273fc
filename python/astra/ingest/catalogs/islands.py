"""Which rows of a table and which sources have to be looked at together.

Rows and sources are linked where they share an identifier or a position, directly or through others. All that
is linked is an island: nothing outside it has any influence on what becomes of its sources. So a table of any
length is read in pieces, and an island is dealt with when its last row has been read.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np

from astra.ingest.catalogs.known_sources import Keys, KnownSources, present
from astra.ingest.catalogs.positions import Pairs
from astra.ingest.tables.table import Table


class Islands:
    """The rows of a table that are linked with sources.

    Attributes:
        rows: Their numbers, in ascending order.
    """

    def __init__(self, keys: Sequence[np.ndarray], sources: KnownSources, pairs: Pairs | None = None) -> None:
        """Find the islands.

        Args:
            keys: The identifiers of all rows, as by ``keys_of_rows``.
            sources: The sources.
            pairs: The rows at the positions of sources.
        """
        self._sources = sources
        linked = np.zeros(len(keys[0]), bool)
        if pairs is not None:
            linked[pairs.rows] = True
        self._link(linked, keys)
        self.rows = np.flatnonzero(linked)
        self._source_at = np.full(len(linked), -1) if pairs is not None else None
        if pairs is not None:
            self._source_at[pairs.rows] = pairs.sources
        self._number([present(numbers[self.rows]) for numbers in keys], pairs)

    def sources(self) -> int:
        """The number of sources that are linked with rows."""
        return int(self._has_rows[self._of_sources].sum())

    def whole(
        self,
        table: Table,
        columns: Collection[str],
        rows: int,
        on_piece: Callable[[dict[str, np.ndarray]], Any],
    ) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray], list[int]]]:
        """Read the linked rows of a table in pieces of at most so many rows, but each island at once.

        Args:
            table: The table.
            columns: The columns to read.
            rows: Rows of a piece.
            on_piece: Called with each piece, all of its rows.

        Yields:
            Numbers of rows, their values in some columns, and the keys of the sources that are linked with
            them.
        """
        last = np.zeros(len(self._has_rows), np.int64)
        np.maximum.at(last, self._of_rows, self.rows)
        start, held = 0, (np.zeros(0, np.int64), {})
        for piece in table.pieces(columns, rows):
            stop = start + len(next(iter(piece.values())))
            first, end = np.searchsorted(self.rows, [start, stop])
            here = self.rows[first:end] - start
            places, content = _extended(
                held, np.arange(first, end), {name: column[here] for name, column in piece.items()}
            )
            done = last[self._of_rows[places]] < stop
            if done.any():
                whole = {name: column[done] for name, column in content.items()}
                yield self.rows[places[done]], whole, self._pks(self._of_rows[places[done]])
            on_piece(piece)
            held = places[~done], {name: column[~done] for name, column in content.items()}
            start = stop

    def places(self, rows: np.ndarray) -> list[int | None]:
        """The keys of the sources at the positions of rows, where they were paired."""
        if self._source_at is None:
            return [None] * len(rows)
        return [int(self._sources.pks[place]) if place >= 0 else None for place in self._source_at[rows]]

    def _link(self, linked: np.ndarray, keys: Sequence[np.ndarray]) -> None:
        """Mark the rows that share an identifier with a source or with a marked row."""
        known = [np.unique(of_kind.numbers) for of_kind in self._sources.keys]
        count = -1
        while count != linked.sum():
            count = linked.sum()
            for place, numbers in enumerate(keys):
                linked |= _among(numbers, known[place])
            known = [np.union1d(known[n], numbers[linked & (numbers != 0)]) for n, numbers in enumerate(keys)]

    def _number(self, keys: Sequence[Keys], pairs: Pairs | None) -> None:
        """Give each row and each source the number of its island."""
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        # An identifier is a node too, which its rows and its sources are connected with.
        n_rows, count = len(self.rows), len(self.rows) + len(self._sources)
        ends: list[tuple[np.ndarray, np.ndarray]] = []
        if pairs is not None:
            ends.append((np.searchsorted(self.rows, pairs.rows), n_rows + pairs.sources))
        for of_rows, of_sources in zip(keys, self._sources.keys, strict=True):
            owners = np.concatenate([of_rows.places, n_rows + of_sources.places])
            both = np.concatenate([of_rows.numbers, of_sources.numbers])
            distinct, nodes = np.unique(both, return_inverse=True)
            ends.append((owners, count + nodes))
            count += len(distinct)
        first, second = (np.concatenate(each).astype(np.int32) for each in zip(*ends, strict=True))
        graph = coo_matrix((np.ones(len(first), bool), (first, second)), shape=(count, count))
        number, labels = connected_components(graph, directed=False)
        self._of_rows, self._of_sources = labels[:n_rows], labels[n_rows : n_rows + len(self._sources)]
        self._has_rows = np.zeros(number, bool)
        self._has_rows[self._of_rows] = True

    def _pks(self, islands: np.ndarray) -> list[int]:
        chosen = np.zeros(len(self._has_rows), bool)
        chosen[islands] = True
        return self._sources.pks[chosen[self._of_sources]].tolist()


def _extended(
    held: tuple[np.ndarray, dict[str, np.ndarray]], places: np.ndarray, content: dict[str, np.ndarray]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    if not len(held[0]):
        return places, content
    joined = {name: np.ma.concatenate([held[1][name], column]) for name, column in content.items()}
    return np.concatenate([held[0], places]), joined


def _among(numbers: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Which of some numbers are among the known ones, which ascend; 0 stands for no number."""
    if not len(known):
        return np.zeros(len(numbers), bool)
    places = np.minimum(np.searchsorted(known, numbers), len(known) - 1)
    return (known[places] == numbers) & (numbers != 0)
