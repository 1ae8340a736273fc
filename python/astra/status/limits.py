"""Compares the counts of a task with limits, for a scheduler that decides on its next step."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from astra.errors import UsageError

#: The exit code for a broken limit, which is not an error.
LIMIT_BROKEN = 1

#: The counts that can be limited, and the totals of their percentages.
LIMITED = {"no_result": "done", "bad": "done", "pending": "spectra"}


@dataclass(frozen=True)
class Limit:
    """The largest number or percentage allowed.

    Attributes:
        name: The count, a key of ``LIMITED``.
        most: The largest value.
        is_percentage: Whether it is a percentage.
    """

    name: str
    most: float
    is_percentage: bool

    def broken_by(self, found: Mapping[str, Any]) -> str | None:
        """The line for a status that breaks this limit, or ``None``."""
        counted, base = _counted(found, self.name), found[LIMITED[self.name]]
        if counted <= (self.most * base / 100 if self.is_percentage else self.most):
            return None
        allowed = f"{self.most:g} %" if self.is_percentage else f"{self.most:,.0f}"
        return f"{found['task']}: {_said(found, self.name)}, more than {allowed}"


def read_limits(texts: Mapping[str, str | None]) -> list[Limit]:
    """Parse limits such as ``2%`` or ``500``.

    Args:
        texts: The limits by the count that they limit; ``None`` is no limit.

    Raises:
        UsageError: One is neither a number nor a percentage.
    """
    return [_read(name, text) for name, text in texts.items() if text is not None]


def _read(name: str, text: str) -> Limit:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%|(\d+)", text.strip())
    if not found:
        option = f"--max-{name.replace('_', '-')}"
        raise UsageError(f"{option} {text}: give a number of spectra, e.g. 500, or a percentage, e.g. 2%")
    percentage, number = found.groups()
    return Limit(name, float(percentage or number), percentage is not None)


def broken(found: Mapping[str, Any], limits: list[Limit]) -> list[str]:
    """A line for each limit that a task breaks, or the error that prevents its status."""
    if "error" in found:
        return [found["error"]]
    return [line for limit in limits if (line := limit.broken_by(found))]


def kept(found: Mapping[str, Any], limits: list[Limit]) -> str:
    """The line for a task within all limits."""
    return f"{found['task']}: within the limits ({'; '.join(_said(found, each.name) for each in limits)})"


def _counted(found: Mapping[str, Any], name: str) -> int:
    return found["flags"].get("flag_no_result", 0) if name == "no_result" else found[name]


def _said(found: Mapping[str, Any], name: str) -> str:
    counted, of = _counted(found, name), LIMITED[name]
    share = 100 * counted / found[of] if found[of] else 0.0
    return f"{name} {counted:,} of {found[of]:,} {of} ({share:.2f} %)"
