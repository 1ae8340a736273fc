"""Facets that are counted in one pass.

Datasette reads a table once for each facet, and a view is computed anew each time: that of 100,000 spectra in
a second, for each of a dozen facets.
"""

from collections import Counter
from typing import Any

from datasette.database import QueryInterrupted
from datasette.facets import Facet
from datasette.utils import escape_sqlite, path_with_added_args, path_with_removed_args

from astra.serve.describing import TOGETHER


class CountedTogether(Facet):
    """How often each value of some columns occurs among the chosen rows.

    NULL is left out, and so is a column that has the same value everywhere, unless that was chosen.
    """

    type = TOGETHER

    async def facet_results(self) -> tuple[list[dict[str, Any]], list[str]]:
        """What the page shows of each column, and the columns of which there was no time for that."""
        columns = [found["config"]["simple"] for found in self.get_configs()]
        if not columns:
            return [], []
        listed = ", ".join(map(escape_sqlite, columns))
        query = f"SELECT {listed}, count(*) FROM ({self.sql}) GROUP BY {listed}"
        limit = self.ds.setting("facet_time_limit_ms")
        try:
            combinations = await self.ds.execute(
                self.database, query, self.params, truncate=False, custom_time_limit=limit
            )
        except QueryInterrupted:
            return [], columns
        counts: dict[str, Counter[Any]] = {column: Counter() for column in columns}
        for *values, rows in combinations.rows:
            for column, value in zip(columns, values, strict=True):
                counts[column][value] += rows
        shown = (self._shown(column, counts[column]) for column in columns)
        return [facet for facet in shown if len(facet["results"]) > 1 or _is_chosen(facet)], []

    def _shown(self, column: str, counts: Counter[Any]) -> dict[str, Any]:
        counts.pop(None, None)
        size = self.get_facet_size()
        ordered = sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
        return {
            "name": column,
            # As the page calls a facet that needs no further word.
            "type": "column",
            "hideable": False,
            "toggle_url": "",
            "results": [self._entry(column, *each) for each in ordered[:size]],
            "truncated": len(ordered) > size,
        }

    def _entry(self, column: str, value: Any, rows: int) -> dict[str, Any]:
        chosen = {column: str(value)}
        selected = (column, str(value)) in self.get_querystring_pairs()
        changed = path_with_removed_args if selected else path_with_added_args
        path = self.ds.urls.path(changed(self.request, chosen))
        return {
            "value": value,
            "label": str(value),
            "count": rows,
            "toggle_url": self.ds.absolute_url(self.request, path),
            "selected": selected,
        }


def _is_chosen(facet: dict[str, Any]) -> bool:
    return any(entry["selected"] for entry in facet["results"])
