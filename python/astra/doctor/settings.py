"""The configuration."""

from collections.abc import Iterator
from pathlib import Path

import astra
from astra.config import Settings, config_file, load_settings
from astra.doctor.findings import OK, WARN, Finding
from astra.doctor.known import Known


def check(known: Known) -> Iterator[Finding]:
    """Whether the settings can be read, and where they come from."""
    known.settings = load_settings()
    origins = sorted({origin for _, _, origin in known.settings.flat()} - {"default"})
    said = f"astra {astra.__version__}; {', '.join(origins) or f'defaults (no file {config_file()})'}"
    yield Finding("configuration", OK, said)
    file = config_file()
    if _keeps_a_secret(known.settings, file) and file.stat().st_mode & 0o077:
        yield Finding(
            "configuration", WARN, f"others may read {file}, which holds a password", f"chmod 600 {file}"
        )


def _keeps_a_secret(settings: Settings, file: Path) -> bool:
    url = settings.database.url.get_secret_value() if settings.database.url else ""
    login = url.partition("://")[2].rpartition("@")[0]
    held = {"database.password": settings.database.password is not None, "database.url": ":" in login}
    return any(is_set and settings.origins.get(name) == f"file {file}" for name, is_set in held.items())
