"""All checks, one after the other; what one of them finds out, those after it can use."""

import logging
from collections.abc import Callable, Iterator

import peewee

from astra.doctor import computing, files, installed, settings, work
from astra.doctor import database as databases
from astra.doctor.findings import FAIL, OK, WARN, Finding
from astra.doctor.known import Known
from astra.errors import AstraError

log = logging.getLogger("astra")


#: Name, what it needs to know (an attribute of ``Known``), and the check.
CHECKS: tuple[tuple[str, str | None, Callable[[Known], Iterator[Finding]]], ...] = (
    ("package", None, installed.check_package),
    ("configuration", None, settings.check),
    ("database", "settings", databases.check_connection),
    ("schema", "database", databases.check_schema),
    ("tasks", None, installed.check_tasks),
    ("rights", "schema", databases.check_rights),
    ("spectra", "schema", files.check_spectra),
    ("space", None, files.check_space),
    ("weights", "settings", computing.check_weights),
    ("results", "schema", work.check_results),
    ("device", None, computing.check_device),
    ("compiled", None, computing.check_compiled),
    ("slurm", None, computing.check_slurm),
    ("claims", "schema", work.check_claims),
)


def examine() -> Iterator[Finding]:
    """Look at everything, and yield what was found, as it is found; nothing is raised."""
    known = Known()
    with known.stack:
        for name, needs, check in CHECKS:
            if needs is not None and getattr(known, needs) is None:
                yield Finding(name, WARN, f"not checked, for that needs the {needs}")
            else:
                yield from _guarded(name, check, known)


def _guarded(name: str, check: Callable[[Known], Iterator[Finding]], known: Known) -> Iterator[Finding]:
    try:
        yield from check(known)
    except AstraError as error:
        yield Finding(name, FAIL, str(error), exit_code=error.exit_code)
    except peewee.PeeweeException as error:
        from astra.database.connection import translated

        refused = translated(error)
        yield Finding(name, FAIL, str(refused), exit_code=refused.exit_code)
    except Exception as error:  # noqa: BLE001 - whatever one check meets, the others are made
        log.debug("the check of %s failed", name, exc_info=True)
        said = f"cannot be checked ({type(error).__name__}: {error})"
        yield Finding(name, FAIL, said, "`astra --debug doctor` shows where", AstraError.exit_code)


def summary(findings: list[Finding]) -> str:
    """How many of which level."""
    counts = {level: sum(found.level == level for found in findings) for level in (OK, WARN, FAIL)}
    return ", ".join(f"{count} {level}" for level, count in counts.items())
