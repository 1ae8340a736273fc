"""Lines of the table of measurements, printed as they come and kept as JSON."""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Line:
    """One measurement."""

    section: str
    what: str
    value: float
    unit: str
    target: str = ""

    def __str__(self) -> str:
        digits = max(0, 2 - math.floor(math.log10(abs(self.value) or 1)))
        return f"  {self.what:<62} {self.value:>12,.{digits}f} {self.unit:<12} {self.target}"


@dataclass
class Table:
    """The lines so far."""

    lines: list[Line] = field(default_factory=list)

    def add(self, section: str, what: str, value: float, unit: str, target: str = "") -> None:
        """Print and keep a line; a new section has a heading."""
        if not self.lines or self.lines[-1].section != section:
            print(f"\n{section}", flush=True)
        self.lines.append(Line(section, what, float(value), unit, target))
        print(self.lines[-1], flush=True)

    def save(self, path: Path) -> None:
        """Write the lines as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps([asdict(line) for line in self.lines], indent=1) + "\n")
