"""What a statement of a migration locks, whom that keeps waiting, and about how long it takes."""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

#: Rows per second, for estimates: a server on two cores does as much.
INDEXED_PER_S = 300_000
CHANGED_PER_S = 50_000
#: What does not depend on the number of rows [s].
MOMENT_S = 0.01

READERS, WRITERS, NOBODY = "readers and writers, for a moment", "writers, for a moment", "nobody"
WHILE_IT_LASTS = "writers, as long as it takes"
SAME_ROWS = "who writes the same rows, for one part"
UNKNOWN = "not known"


@dataclass(frozen=True)
class Step:
    """One statement.

    Attributes:
        sql: The statement.
        tables: The tables or views that it locks, of those that are there before the upgrade.
        lock: The lock it takes on them, or on SQLite; empty for none that keeps anybody waiting.
        blocks: Who waits for it.
        seconds: About how long it takes; ``None`` if that is not known.
    """

    sql: str
    tables: tuple[str, ...]
    lock: str
    blocks: str
    seconds: float | None

    def as_dict(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return asdict(self)

    def line(self) -> str:
        """Two lines for a person."""
        in_parts, sql = _COMMENT.match(self.sql), _COMMENT.sub("", self.sql)
        short = sql if len(sql) <= 96 else sql[:95] + "…"
        lock = f"{self.lock} on {', '.join(self.tables)}, " if self.tables else ""
        parts = f", {in_parts[1]}" if in_parts else ""
        time = "" if self.seconds is not None and self.seconds < 1 else f"; {duration(self.seconds)}"
        return f"{short}\n        {lock}blocks {self.blocks}{parts}{time}"


def duration(seconds: float | None) -> str:
    """About how long something takes, for people."""
    if seconds is None:
        return "time not known"
    if seconds < 1:
        return "below 1 s"
    return f"about {seconds:.0f} s" if seconds < 120 else f"about {seconds / 60:.0f} min"


_COMMENT = re.compile(r"/\* (.*?) \*/ ")
_NAME = r'"?(?P<table>[\w.]+)"?'


def _moment(rows: float | None) -> float | None:
    return MOMENT_S


def _indexed(rows: float | None) -> float | None:
    return None if rows is None else MOMENT_S + rows / INDEXED_PER_S


def _changed(rows: float | None) -> float | None:
    return None if rows is None else MOMENT_S + rows / CHANGED_PER_S


#: Statements by their beginning, the first counts: the lock on PostgreSQL, whom it blocks, how long it takes.
_KINDS: tuple[tuple[str, str, str, Callable[[float | None], float | None]], ...] = (
    (rf"CREATE (UNIQUE )?INDEX CONCURRENTLY .*? ON {_NAME}", "SHARE UPDATE EXCLUSIVE", NOBODY, _indexed),
    (rf"CREATE (UNIQUE )?INDEX .*? ON {_NAME}", "SHARE", WHILE_IT_LASTS, _indexed),
    (rf"DROP INDEX CONCURRENTLY (IF EXISTS )?{_NAME}", "SHARE UPDATE EXCLUSIVE", NOBODY, _moment),
    (rf"ALTER TABLE (IF EXISTS )?{_NAME} SET \(", "SHARE UPDATE EXCLUSIVE", NOBODY, _moment),
    (rf"ALTER TABLE (IF EXISTS )?{_NAME} (ADD|DROP|RENAME)", "ACCESS EXCLUSIVE", READERS, _moment),
    (rf"CREATE OR REPLACE VIEW {_NAME}", "ACCESS EXCLUSIVE", READERS, _moment),
    (rf"DROP (TABLE|VIEW|INDEX) (IF EXISTS )?{_NAME}", "ACCESS EXCLUSIVE", READERS, _moment),
    (rf"COMMENT ON (COLUMN|TABLE) {_NAME}", "SHARE UPDATE EXCLUSIVE", NOBODY, _moment),
    (rf"(UPDATE|DELETE FROM) {_NAME}", "ROW EXCLUSIVE", SAME_ROWS, _changed),
    (rf"INSERT INTO .* FROM {_NAME}", "ROW EXCLUSIVE", NOBODY, _changed),
    (rf"INSERT INTO {_NAME}", "ROW EXCLUSIVE", NOBODY, _moment),
)
_MAKING = re.compile(rf"CREATE (TABLE|VIEW) (IF NOT EXISTS )?{_NAME}", re.IGNORECASE)
_REFERRED = re.compile(r'REFERENCES "?(\w+)"?', re.IGNORECASE)


class Reader:
    """Reads the statements of an upgrade in their order: what it makes itself, nobody waits for.

    Args:
        rows: About how many rows each table has; ``None`` where that is not known.
        is_postgresql: Whether it is for PostgreSQL.

    Attributes:
        made: The tables and views that are made.
    """

    def __init__(self, rows: Mapping[str, float | None], *, is_postgresql: bool) -> None:
        self._rows, self._is_postgresql = rows, is_postgresql
        self.made: set[str] = set()

    def step(self, sql: str) -> Step:
        """What one statement does."""
        bare = _COMMENT.sub("", sql)
        if found := _MAKING.match(bare):
            self.made.add(found["table"])
            referred = tuple(dict.fromkeys(name for name in _REFERRED.findall(bare) if name not in self.made))
            if not referred:
                return self._on(sql, (), "", NOBODY, MOMENT_S)
            return self._on(sql, referred, "SHARE ROW EXCLUSIVE", WRITERS, MOMENT_S)
        for pattern, lock, blocks, seconds in _KINDS:
            if found := re.match(pattern, bare, re.IGNORECASE | re.DOTALL):
                table = found["table"]
                if table in self.made:
                    return self._on(sql, (), "", NOBODY, MOMENT_S)
                return self._on(sql, (table,), lock, blocks, seconds(self._rows.get(table)))
        return self._on(sql, (), UNKNOWN, UNKNOWN, None)

    def _on(self, sql: str, tables: tuple[str, ...], lock: str, blocks: str, seconds: float | None) -> Step:
        if not self._is_postgresql:
            # There is one lock, that of the file, and nobody who reads waits for it.
            blocks = WHILE_IT_LASTS if seconds is None or seconds > 1 and not _COMMENT.match(sql) else WRITERS
            tables, lock = (), "that of the file"
        return Step(sql, tables, lock, blocks, seconds)
