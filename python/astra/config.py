"""Settings: what is in force, and where each value came from.

An option of the command line beats the environment, the environment beats the file, the file beats
the default. ``load_settings`` gives one frozen object; nothing else in the package reads these
variables or ``astra.yml``.
"""

import functools
import logging
import multiprocessing
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import platformdirs
import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo

from astra import NO_HOME
from astra.damage import check_file, check_yaml, damage, reason
from astra.errors import ConfigError, nearest
from astra.hiding import MASK, hidden, hidden_address, is_address

#: Environment variable of each setting.
ENVIRONMENT = {
    "database.path": "ASTRA_DATABASE_PATH",
    "database.url": "ASTRA_DATABASE_URL",
    "database.password": "ASTRA_DATABASE_PASSWORD",
    "database.schema": "ASTRA_DATABASE_SCHEMA",
    "database.patience": "ASTRA_DATABASE_PATIENCE",
    "sas_base_dir": "SAS_BASE_DIR",
    "mwm_astra": "MWM_ASTRA",
    "models_dir": "ASTRA_MODELS_DIR",
    "weights": "ASTRA_WEIGHTS",
    "from_url": "ASTRA_FROM_URL",
}
CONFIG_VARIABLE = "ASTRA_CONFIG"

# Of our variables, those that others read: our tests, the DAGs of the documentation, modules of SDSS.
_OF_OTHERS = re.compile(r"ASTRA_(SHARED|TEST_.+|COMMAND|PRODUCTS|SPECTRA|CATALOG|DIR|VER|VERSION)")

#: Where the settings file is, and where upstream Astra has its own, which may hold more than we know.
OWN_FILE = "~/.config/sdss/astra/astra.yml"
UPSTREAM_FILES = ("~/.astra/astra.yml", "~/.config/sdss/astra.yml")

# Bytes of a settings file; a real one has a few hundred.
_LARGEST_FILE = 1 << 20

log = logging.getLogger("astra")

# What a message about YAML quotes.
_QUOTED = re.compile(r"""['"].*['"]""", re.DOTALL)

_VARIABLE = re.compile(r"\$(?:(\w+)|\{([^}]*)\})")

# The settings that one layer has: of each, its value and its origin.
_Layer = dict[str, tuple[Any, str]]

# Naming one kind of database anywhere puts aside the other kinds that a weaker layer names.
_KINDS_OF_DATABASE = (
    {"database.path"},
    {"database.url"},
    {"database.dbname", "database.user", "database.host", "database.port"},
)


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class DatabaseSettings(_Section):
    """Where the database is: a SQLite file, a PostgreSQL URL, or PostgreSQL parameters."""

    path: Path | None = Field(None, description="SQLite file; by default `astra.db` in your data folder")
    url: SecretStr | None = Field(None, description="`postgresql://…` or `sqlite:///…`")
    dbname: str | None = Field(None, pattern=r"^[^:/=]+$", description="PostgreSQL: name of the database")
    user: str | None = Field(None, description="PostgreSQL: login")
    host: str | None = Field(None, description="PostgreSQL: machine of the server")
    port: int | None = Field(None, description="PostgreSQL: port of the server")
    password: SecretStr | None = Field(None, description="Never shown; `~/.pgpass` does as well")
    schema_: str = Field(
        "astra",
        alias="schema",
        pattern=r"^[a-z_][a-z0-9_]*$",
        description="PostgreSQL: schema that the tables are in",
    )
    patience: float = Field(300.0, ge=0, description="How long a run waits for a server that went away [s]")

    @model_validator(mode="after")
    def _one_kind(self) -> "DatabaseSettings":
        if sum(kind is not None for kind in (self.path, self.url, self.dbname)) > 1:
            raise ValueError("two databases are named; keep one of path, url and dbname")
        return self


class SlurmSettings(_Section):
    """Options of ``astra srun``, as one profile or the command line gives them; ``None`` is not set."""

    nodes: int | None = Field(None, ge=1, description="Tasks of the array, each on one machine")
    procs: int | None = Field(None, ge=1, description="Processes of each task, a core each")
    partition: str | None = Field(None, min_length=1, description="For Slurm")
    account: str | None = Field(None, min_length=1, description="For Slurm")
    qos: str | None = Field(None, min_length=1, description="For Slurm")
    time: str | None = Field(
        None, min_length=1, description='For Slurm: longest time of a task, in quotes: "48:00:00"'
    )
    mem: str | None = Field(None, min_length=1, description="For Slurm: memory of a task, MB or e.g. 16G")
    gres: str | None = Field(None, min_length=1, description="For Slurm: generic resources, e.g. gpu:v100")
    array_limit: int | None = Field(None, ge=1, description="Tasks that may run at the same time")
    logs: Path | None = Field(None, description="Folder of logs")

    @field_validator("time", mode="before")
    @classmethod
    def _no_number(cls, value: Any) -> Any:
        if isinstance(value, int):
            raise ValueError('put it in quotes, as in "48:00:00": without them YAML makes a number of it')
        return value

    @field_validator("mem", mode="before")
    @classmethod
    def _megabytes(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


#: Profiles of ``astra srun`` that need no settings: what upstream's takes if nothing is named.
BUILT_IN_PROFILES = {"sdss": SlurmSettings(account="sdss-np", partition="sdss-np", time="24:00:00")}

#: Groups of the settings file that hold profiles: of each, what one profile holds.
_PROFILES: dict[str, type[_Section]] = {"slurm": SlurmSettings, "databases": DatabaseSettings}
_OF_A_PROFILE = re.compile(rf"^({'|'.join(_PROFILES)})\.[^.]+\.")

#: What ``apstar_path`` may name in braces, each with an example.
PLACEHOLDERS = {
    "release": "sdss5",
    "filetype": "apStar",
    "prefix": "ap",
    "apred": "1.3",
    "apstar": "stars",
    "telescope": "apo25m",
    "field": "M67",
    "healpix_group": 10,
    "healpix": 10_105,
    "obj": "2M13593121+6335074",
}


class Settings(_Section):
    """Everything that can be set, and the origin of each value that was."""

    database: DatabaseSettings
    databases: Mapping[str, DatabaseSettings] = Field(default_factory=dict)
    slurm: Mapping[str, SlurmSettings] = Field(default_factory=dict)
    sas_base_dir: Path | None = Field(None, description="Folder where relative paths of spectra start")
    mwm_astra: Path | None = Field(
        None,
        description="Folder of the survey: `pipelines/astroNN_dist/astroNN_dist_model_parameter.pt` below it "
        "are the weights if none are named and there are no rows yet",
    )
    models_dir: Path = Field(
        description="Folder where weights are found by name; by default `models` in your data folder"
    )
    weights: str | None = Field(None, description="Weights to use: a path, or a name in `models_dir`")
    apstar_path: Path | None = Field(
        None,
        description="Where the files of spectra lie that come from a table or another database, if not where "
        f"the survey publishes them; of the product it takes {', '.join(f'`{{{n}}}`' for n in PLACEHOLDERS)}",
    )
    from_url: SecretStr | None = Field(
        None, description="Database of SDSS Astra that `astra ingest astra` reads if it is given no `--from`"
    )
    origins: Mapping[str, str] = Field(default_factory=dict, exclude=True)

    @field_validator("apstar_path")
    @classmethod
    def _known_placeholders(cls, value: Path | None) -> Path | None:
        try:
            str(value).format(**PLACEHOLDERS)
        except KeyError as error:
            raise ValueError(
                f"no placeholder {{{error.args[0]}}}{nearest(str(error.args[0]), PLACEHOLDERS)}"
            ) from None
        except (ValueError, IndexError, AttributeError, MemoryError) as error:
            raise ValueError(f"not a template of a path: {reason(error)}") from None
        return value

    def flat(self) -> Iterator[tuple[str, Any, str]]:
        """Every setting in force as ``(name, value, origin)``; secrets are masked."""
        for name, value in _flattened(self.model_dump(by_alias=True)):
            if value is not None:
                yield name, _shown(name, value), self.origins.get(name, "default")


def known_settings() -> Iterator[tuple[str, FieldInfo]]:
    """Every setting that there is: its name, and what is known of it; those of profiles as of one."""
    for name, field in DatabaseSettings.model_fields.items():
        yield f"database.{field.alias or name}", field
    for name, field in Settings.model_fields.items():
        if name not in ("database", "origins", *_PROFILES):
            yield name, field
    for group, section in _PROFILES.items():
        for name, field in section.model_fields.items():
            yield f"{group}.PROFILE.{field.alias or name}", field


def expand_path(path: str | os.PathLike[str]) -> str:
    """A path with ``~`` and ``$VARIABLE`` (or ``${VARIABLE}``) replaced by what they stand for.

    Raises:
        ConfigError: A variable is not set, or empty.
    """

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if not os.environ.get(name):
            raise ConfigError(
                f"{os.fspath(path)}: the environment variable {name} is not set; set it, or do without it"
            )
        return os.environ[name]

    return os.path.expanduser(_VARIABLE.sub(value, os.fspath(path)))


def in_a_home(path: Path, variable: str) -> Path:
    """A path of the settings, which may be in the home folder.

    Args:
        path: The path.
        variable: What names another one.

    Raises:
        ConfigError: The user has no home folder.
    """
    if path.is_relative_to(NO_HOME):
        raise ConfigError(f"{path}: user {os.getuid()} has no home folder that can be used: set {variable}")
    return path


def config_file() -> Path:
    """The settings file: that of ``ASTRA_CONFIG``, else the first of ours and upstream's that is there.

    Raises:
        ConfigError: ``ASTRA_CONFIG`` names a variable that is not set.
    """
    if named := os.environ.get(CONFIG_VARIABLE):
        return Path(expand_path(named))
    return next(iter(_existing_files()), Path(OWN_FILE).expanduser())


def overlooked_files() -> list[Path]:
    """Settings files that are there but are not read, for a stronger one is there too."""
    return [] if os.environ.get(CONFIG_VARIABLE) else _existing_files()[1:]


def _existing_files() -> list[Path]:
    places = [Path(place).expanduser() for place in (OWN_FILE, *UPSTREAM_FILES)]
    return [place for place in places if os.path.exists(place)]


def load_settings(**options: Any) -> Settings:
    """Read the settings that are in force now.

    Args:
        **options: Values from the command line, by setting name; ``None`` counts as not set.

    Raises:
        ConfigError: The file cannot be read, or a value is unknown, contradictory or of a wrong type.
    """
    for name in sorted(os.environ):
        if name.startswith("ASTRA_") and not _OF_OTHERS.fullmatch(name):
            _say_unread(name)
    data = platformdirs.user_data_path("astra")
    variables = {name: (os.environ.get(variable), variable) for name, variable in ENVIRONMENT.items()}
    chosen: _Layer = {}
    for layer in (
        {name: (value, "option") for name, value in options.items() if value is not None},
        {name: (value, f"environment {variable}") for name, (value, variable) in variables.items() if value},
        file := _file(),
        _built_in_profiles(file),
        {"models_dir": (data / "models", "default")},
    ):
        _merge(chosen, layer)
    if not any(kind & chosen.keys() for kind in _KINDS_OF_DATABASE):
        chosen["database.path"] = (data / "astra.db", "default")
    return _validate(chosen)


@functools.cache
def _settings_in(*_state: str | None) -> Settings:
    return load_settings()


def _of_paths() -> Settings:
    # Asked for with every spectrum.
    return _settings_in(*map(os.environ.get, ("SAS_BASE_DIR", CONFIG_VARIABLE, "HOME")))


def sas_base_dir() -> Path | None:
    """The folder that relative paths of spectra start from, or ``None``."""
    return _of_paths().sas_base_dir


def apstar_path() -> Path | None:
    """The template for paths of spectra, or ``None``: they are where the survey publishes them."""
    return _of_paths().apstar_path


def _file() -> _Layer:
    """The layer of the settings file."""
    path = config_file()
    text = ""
    with damage(lambda why: ConfigError(f"settings file cannot be read: {path} ({why})")):
        try:
            if str(path) != os.devnull:
                check_file(path, _LARGEST_FILE)
                text = path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            if os.environ.get(CONFIG_VARIABLE):
                raise ConfigError(f"settings file not found: {path} (named by {CONFIG_VARIABLE})") from None
            return {}
    content = _parsed(text, path)
    flat = _of_file({} if content is None else content, path)
    if _is_upstreams(path):
        ignored = [name for name in flat if _field(name) is None]
        flat = {name: value for name, value in flat.items() if name not in ignored}
        if ignored:
            _say_ignored(path, ", ".join(ignored))
    return {name: (value, f"file {path}") for name, value in flat.items() if value is not None}


def _parsed(text: str, path: Path) -> Any:
    """What YAML stands for; no message quotes it, for a password may stand there."""

    def fault(why: str) -> ConfigError:
        return ConfigError(f"settings file is not valid YAML: {path}{why}")

    with _unquoted(), damage(lambda _: fault(" (a value cannot be read as what its tag or its form says)")):
        try:
            check_yaml(text)
            return yaml.safe_load(text)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            place = f", line {mark.line + 1}" if mark else ""
            detail = _QUOTED.sub("…", getattr(error, "problem", None) or type(error).__name__)
            raise fault(
                f"{place} ({detail}); a text with special characters, a password for one, stands between "
                "single quotes"
            ) from None


@contextmanager
def _unquoted() -> Iterator[None]:
    """Let an error go without what it came from, which quotes the text."""
    try:
        yield
    except ConfigError as error:
        raise error from None


def _built_in_profiles(file: _Layer) -> _Layer:
    """Those whose name no profile of the settings file has."""
    taken = {name.split(".")[1] for name in file if name.startswith("slurm.")}
    return {
        f"slurm.{profile}.{name}": (value, "built in")
        for profile, options in BUILT_IN_PROFILES.items()
        for name, value in options.model_dump(exclude_none=True).items()
        if profile not in taken
    }


def _is_upstreams(path: Path) -> bool:
    places = [Path(place).expanduser() for place in UPSTREAM_FILES]
    return path in places and not os.environ.get(CONFIG_VARIABLE)


def _field(name: str) -> FieldInfo | None:
    """What is known of a setting; ``None`` if there is none of this name."""
    return dict(known_settings()).get(_OF_A_PROFILE.sub(r"\1.PROFILE.", name))


@functools.cache
def _say_ignored(path: Path, names: str) -> None:
    log.warning("settings file %s: ignored, because only SDSS Astra knows them: %s", path, names)


@functools.cache
def _say_unread(name: str) -> None:
    ours = [each for each in (*ENVIRONMENT.values(), CONFIG_VARIABLE) if each.startswith("ASTRA_")]
    # A run's workers have the same variables.
    if name not in ours and multiprocessing.parent_process() is None:
        log.warning("environment variable %s: nothing reads it%s", name, nearest(name, ours, None))


def _of_file(content: Any, path: Path) -> dict[str, Any]:
    """The values of a settings file by the names of their settings."""
    if not isinstance(content, dict) or not isinstance(content.get("database") or {}, dict):
        raise ConfigError(
            f"settings file must hold 'name: value' lines, and 'database' a group of them: {path}"
        )
    groups = {"database": content.get("database") or {}}
    for kind in _PROFILES:
        profiles = content.get(kind) or {}
        if not isinstance(profiles, dict) or not all(isinstance(e or {}, dict) for e in profiles.values()):
            if _is_upstreams(path):
                others = {name: value for name, value in content.items() if name != kind}
                return _of_file(others, path) | {kind: profiles}
            raise ConfigError(
                f"settings file: '{kind}' must hold profiles, each a group of 'name: value' lines: {path}"
            )
        groups |= {f"{kind}.{name}": options or {} for name, options in profiles.items()}
    flat = {f"{group}.{key}": value for group, values in groups.items() for key, value in values.items()}
    others = content.keys() - {"database", *_PROFILES}
    return flat | {str(name): value for name, value in content.items() if name in others}


def _flattened(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flattened(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _merge(chosen: _Layer, layer: _Layer) -> None:
    """Add what a weaker layer sets to what stronger ones have chosen."""
    named = [kind for kind in _KINDS_OF_DATABASE if kind & layer.keys()]
    if len(named) > 1:
        first, second = (sorted(kind & layer.keys())[0] for kind in named[:2])
        raise ConfigError(
            f"two databases are named: {first} ({layer[first][1]}) "
            f"and {second} ({layer[second][1]}); keep one"
        )
    if any(kind & chosen.keys() for kind in _KINDS_OF_DATABASE):
        aside = set().union(*(kind for kind in _KINDS_OF_DATABASE if not kind & chosen.keys()))
        layer = {name: value for name, value in layer.items() if name not in aside}
    chosen |= layer | chosen


def _validate(chosen: _Layer) -> Settings:
    nested: dict[str, Any] = {"database": {}, **{kind: {} for kind in _PROFILES}}
    for name, (value, origin) in chosen.items():
        group, _, key = name.rpartition(".")
        kind, _, profile = group.partition(".")
        if kind in _PROFILES and profile:
            values = nested[kind].setdefault(profile, {})
        else:
            values = nested["database"] if group == "database" else nested
        try:
            values[key] = _expanded(name, value)
        except ConfigError as error:
            raise ConfigError(f"setting {name!r} ({origin}): {error}") from None
    nested["origins"] = {name: origin for name, (_, origin) in chosen.items()}
    try:
        return Settings.model_validate(nested)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        origin = nested["origins"].get(name, "settings")
        if first["type"] != "extra_forbidden":
            raise ConfigError(f"setting {name!r} ({origin}): {first['msg'].lower()}") from None
        profile = name.split(".")[1] if _OF_A_PROFILE.match(name) else "PROFILE"
        known = sorted(each.replace("PROFILE", profile) for each, _ in known_settings())
        raise ConfigError(
            f"setting {name!r} ({origin}): no such setting{nearest(name, known, 'known settings:')}"
        ) from None


def _expanded(name: str, value: Any) -> Any:
    """A value with variables replaced, if it is a path."""
    sqlite, field = "sqlite:///", _field(name)
    if name.endswith(".path") and is_address(str(value)):
        raise ConfigError("not a file, but the address of a database: that belongs in the setting url")
    if name.endswith("url") and isinstance(value, str) and value.startswith(sqlite):
        return sqlite + expand_path(value.removeprefix(sqlite))
    is_path = name == "weights" or (field is not None and field.annotation in (Path, Path | None))
    return expand_path(value) if is_path and isinstance(value, str | Path) else value


def _shown(name: str, value: Any) -> Any:
    if isinstance(value, SecretStr):
        return hidden_address(value.get_secret_value()) if name.endswith("url") else MASK
    return hidden(value) if isinstance(value, str) else value
