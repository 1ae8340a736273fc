"""All checks in their order; each can use what those before it have found."""

from collections.abc import Callable, Iterator

from astra.doctor import database, disks, installation
from astra.doctor.findings import FAIL, OK, WARN, Finding, Known, guarded

#: The name of a check, the attribute of ``Known`` that it needs, and the check.
CHECKS: tuple[tuple[str, str | None, Callable[[Known], Iterator[Finding]]], ...] = (
    ("memory", None, installation.check_memory),
    ("package", None, installation.check_package),
    ("configuration", None, installation.check_settings),
    ("database", "settings", database.check_connection),
    ("schema", "database", database.check_schema),
    ("tasks", None, installation.check_tasks),
    ("rights", "schema", database.check_rights),
    ("spectra", "schema", disks.check_spectra),
    ("space", None, disks.check_space),
    ("weights", "settings", installation.check_weights),
    ("results", "schema", database.check_results),
    ("device", None, installation.check_device),
    ("compiled", None, installation.check_compiled),
    ("slurm", None, installation.check_slurm),
    ("claims", "schema", database.check_claims),
)

# What loads the libraries of a run.
_COMPUTING = ("weights", "device", "compiled")


def examine() -> Iterator[Finding]:
    """Make all checks, and yield each finding at once; nothing is raised."""
    known = Known()
    with known.stack:
        for name, needs, check in CHECKS:
            if name in _COMPUTING and not known.memory:
                yield Finding(name, WARN, "not checked, for that needs more memory")
            elif needs is not None and getattr(known, needs) is None:
                yield Finding(name, WARN, f"not checked, for that needs the {needs}")
            else:
                yield from guarded(name, check(known))


def summary(findings: list[Finding]) -> str:
    """The number of findings of each level."""
    counts = {level: sum(found.level == level for found in findings) for level in (OK, WARN, FAIL)}
    return ", ".join(f"{count} {level}" for level, count in counts.items())
