"""Results against limits: what a scheduler asks before it goes on to the next step."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from astra.errors import UsageError

#: Exit code of a check that found a limit broken. It is no error: the answer is no.
LIMIT_BROKEN = 1

#: What can be limited, and of what a percentage is.
LIMITED = {"no_result": "done", "bad": "done", "pending": "spectra"}


@dataclass(frozen=True)
class Limit:
    """At most so many, or so many percent.

    Attributes:
        name: What is counted, a key of ``LIMITED``.
        most: The limit.
        is_percentage: Whether that is a percentage.
    """

    name: str
    most: float
    is_percentage: bool

    def broken_by(self, found: Mapping[str, Any]) -> str | None:
        """What to say of a status that breaks this limit; ``None`` if it keeps to it."""
        counted, base = _counted(found, self.name), found[LIMITED[self.name]]
        if counted <= (self.most * base / 100 if self.is_percentage else self.most):
            return None
        allowed = f"{self.most:g} %" if self.is_percentage else f"{self.most:,.0f}"
        return f"{found['task']}: {_said(found, self.name)}, more than {allowed}"


def read_limits(texts: Mapping[str, str | None]) -> list[Limit]:
    """Understand limits such as ``2%`` or ``500``.

    Args:
        texts: By what they limit; ``None`` is no limit.

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
    """A line for each limit that the status of a task breaks; a task that cannot be counted keeps to none."""
    if "error" in found:
        return [found["error"]]
    return [line for limit in limits if (line := limit.broken_by(found))]


def kept(found: Mapping[str, Any], limits: list[Limit]) -> str:
    """The line for the status of a task that keeps to all limits."""
    return f"{found['task']}: within the limits ({'; '.join(_said(found, each.name) for each in limits)})"


def _counted(found: Mapping[str, Any], name: str) -> int:
    return found["flags"].get("flag_no_result", 0) if name == "no_result" else found[name]


def _said(found: Mapping[str, Any], name: str) -> str:
    counted, of = _counted(found, name), LIMITED[name]
    share = 100 * counted / found[of] if found[of] else 0.0
    return f"{name} {counted:,} of {found[of]:,} {of} ({share:.2f} %)"
