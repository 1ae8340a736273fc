"""The lines of the report: what was measured, what it must be, whether it is."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_WIDTH = 60


@dataclass(frozen=True)
class Line:
    """One number; without limits it is for information."""

    measure: str
    value: float

    low: float = -math.inf
    high: float = math.inf
    """The value must lie between these, or be one of them; NaN never does."""

    form: str = ".3f"
    """How the value is printed."""

    note: str = ""
    """What belongs to it, and has no target."""

    @property
    def target(self) -> str:
        """What it must be, in words; empty where nothing is asked."""
        low, high = (format(limit, self.form.lstrip("+")) for limit in (self.low, self.high))
        if math.isfinite(self.low) and math.isfinite(self.high):
            return f"within {high}" if self.low == -self.high else f"{low} to {high}"
        if math.isfinite(self.high):
            return f"<= {high}"
        return f">= {low}" if math.isfinite(self.low) else ""

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; ``None`` without one."""
        return bool(self.low <= self.value <= self.high) if self.target else None

    def as_dict(self) -> dict[str, Any]:
        """For JSON, which has neither NaN nor infinity."""
        content = {"measure": self.measure, "value": finite(self.value), "note": self.note}
        return content | {"low": finite(self.low), "high": finite(self.high), "met": self.met}


@dataclass(frozen=True)
class Section:
    """Lines that belong together, and numbers that only the JSON has."""

    title: str
    lines: Sequence[Line]
    details: dict[str, Any] = field(default_factory=dict)


def printed(sections: Sequence[Section]) -> str:
    """All sections as one table."""
    rows = [f"{'measure':<{_WIDTH}}{'value':>8}  {'target':<12}  met"]
    for section in sections:
        rows += ["", section.title]
        rows += [_row(line) for line in section.lines]
    asked = [line.met for section in sections for line in section.lines if line.met is not None]
    rows += ["", f"{sum(asked)} of {len(asked)} targets met, {len(asked) - sum(asked)} missed"]
    return "\n".join(rows)


def all_met(sections: Sequence[Section]) -> bool:
    """Whether no section misses a target."""
    return all(line.met is not False for section in sections for line in section.lines)


def save(sections: Sequence[Section], about: dict[str, Any], path: Path) -> None:
    """Write everything as JSON."""
    content = {
        **about,
        "met": all_met(sections),
        "sections": [
            {
                "title": section.title,
                "lines": [line.as_dict() for line in section.lines],
                "details": section.details,
            }
            for section in sections
        ],
    }
    path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")


def finite(value: float) -> float | None:
    """A number for JSON."""
    return float(value) if math.isfinite(value) else None


def _row(line: Line) -> str:
    verdict = {True: "met", False: "MISSED", None: ""}[line.met]
    value = format(line.value, line.form)
    return f"  {line.measure:<{_WIDTH - 2}}{value:>8}  {line.target:<12}  {verdict:<6}  {line.note}".rstrip()
