"""What a check has found."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

OK, WARN, FAIL = "ok", "warn", "fail"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: What was looked at, in a word.
        level: ``ok``; ``warn``: a run works, but not as one might think; ``fail``: it does not.
        said: What was found.
        remedy: What to do about it, where what was found does not say it.
        exit_code: Of a failure, as of a run that fails for this reason; else 0.
    """

    check: str
    level: str
    said: str
    remedy: str | None = None
    exit_code: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return asdict(self)

    def line(self) -> str:
        """One line for a person."""
        text = " ".join(f"{self.said}; {self.remedy}".split() if self.remedy else self.said.split())
        return f"{self.level:<4}  {self.check:<13}  {text}"


def exit_code_of(findings: Iterable[Finding]) -> int:
    """That of the first failure; 0 without any."""
    return next((found.exit_code for found in findings if found.level == FAIL), 0)
