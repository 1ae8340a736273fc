"""Tables of the reference, as Markdown: columns, flags, exit codes, settings, options of a task."""

import re
from collections.abc import Iterable, Sequence

import astra.models
from astra.cli import json_output
from astra.config import CONFIG_VARIABLE, ENVIRONMENT, OWN_FILE, UPSTREAM_FILES, known_settings
from astra.errors import AstraError
from astra.models import fields
from astra.models.fields import flags_of
from astra.running.arguments import OF_EVERY_TASK
from astra.running.ending import KEYBOARD_INTERRUPT
from astra.status.limits import LIMIT_BROKEN
from astra.system.arguments import option_name
from astra.tasks.installed import find_task

from astra_reference.commands import options_called

TYPES = {
    fields.AutoField: "bigint",
    fields.BigIntegerField: "bigint",
    fields.BitField: "bigint",
    fields.BooleanField: "boolean",
    fields.DateTimeField: "timestamp",
    fields.StampField: "timestamp",
    fields.FloatField: "double",
    fields.ForeignKeyField: "bigint",
    fields.GeneratedField: "bigint",
    fields.IntegerField: "integer",
    fields.StampField: "timestamp",
    fields.TextField: "text",
}

_UNIT = re.compile(r" \[[^\[\]]+\]$")


def columns(model_name: str) -> str:
    """The columns of a table or a view."""
    rows = []
    for field in getattr(astra.models, model_name)._meta.sorted_fields:
        name = f"`{field.column_name}`"
        if field.name != field.column_name:
            name += f", in Python `{field.name}`"
        meaning = _UNIT.sub("", field.help_text or "")
        rows.append((name, TYPES[type(field)], field.unit or "", meaning))
    return table(("column", "type", "unit", "meaning"), rows)


def flags(model_name: str, column: str | None = None) -> str:
    """The bits of a table, or of a column, each with its name; what they make of a row where that is said."""
    model = getattr(astra.models, model_name)
    is_result = column in (None, "result_flags")
    summaries = {mask: getattr(model, mask, None) if is_result else None for mask in ("BAD", "WARN")}
    rows = []
    for name, flag in flags_of(model, column).items():
        sets = [f"`flag_{mask.lower()}`" for mask, bits in summaries.items() if bits and flag.value & bits]
        rows.append((f"`{name}`", str(flag.bit), str(flag.value), flag.help_text, *sets))
    heads = ("flag", "bit", "value", "meaning", *(["sets"] if summaries["BAD"] else []))
    return table(heads, rows)


def exit_codes() -> str:
    """The exit codes of all commands, with the errors that lead to them."""
    found = {0: ("", "Done; also if nothing was pending, or some rows are flagged")}
    found[LIMIT_BROKEN] = ("", "`astra status --check`: a limit is broken")
    for kind in (AstraError, *AstraError.__subclasses__()):
        if "exit_code" in vars(kind):
            found[kind.exit_code] = (f"`{kind.__name__}`", _first_line(kind))
    found[AstraError.exit_code] = ("`AstraError`", "An internal error: `astra --debug …` shows where")
    found[KEYBOARD_INTERRUPT] = ("", "Stopped at once by a second Ctrl-C; the chunk in hand was not written")
    rows = [(str(code), *found[code][::-1]) for code in sorted(found)]
    return table(("code", "meaning", "raised as"), rows)


def json_commands() -> str:
    """The keys that each command prints with ``--json``."""
    rows = [(f"`astra {command}`", " ".join(keys.split())) for command, keys in json_output.PRINTED.items()]
    return table(("command", "keys"), rows)


def json_keys() -> str:
    """What the keys mean."""
    return table(("key", "meaning"), [(f"`{key}`", text) for key, text in json_output.MEANINGS.items()])


def json_before() -> str:
    """The names of the schema before, and those of now."""
    rows = [
        (f"`astra {command}`", f"`{old}`", f"`{new}`")
        for command, names in json_output.BEFORE.items()
        for old, new in names.items()
    ]
    return table(("command", "before", "now"), rows)


def settings() -> str:
    """Every setting: where it can be given, its default, its meaning."""
    rows = []
    for name, field in known_settings():
        meaning = field.description or ""
        if field.default is not None and not field.is_required():
            meaning += f"; default `{field.default}`"
        elsewhere = [each for each in (_option(name), ENVIRONMENT.get(name)) if each]
        rows.append((f"`{name}`", ", ".join(f"`{each}`" for each in elsewhere), meaning))
    others = " or ".join(f"`{place}`" for place in UPSTREAM_FILES)
    where = (
        f"The file is the one that `{CONFIG_VARIABLE}` names, else `{OWN_FILE}`; where that is not there, "
        f"SDSS Astra's {others}, of which names that are unknown here are ignored with a warning. In every "
        "path, `~` and `$VARIABLE` are replaced.\n\n"
    )
    return where + table(("setting in the file", "option, environment", "meaning"), rows)


def options(task_name: str) -> str:
    """The options of a task that the commands do not offer for every task."""
    rows = []
    for name, option in find_task(task_name).options.items():
        if name not in OF_EVERY_TASK:
            values = ", ".join(option.choices) or option.type.__name__
            default = "" if option.default is None else str(option.default)
            mixes = "" if option.declared.changes_numbers else "yes"
            rows.append((f"`{option_name(name)}`", values, default, mixes, option.declared.help or ""))
    return table(("option", "values", "default", "values may mix", "meaning"), rows)


def _option(setting: str) -> str | None:
    """The option of a run that says the same, if there is one."""
    command = "srun" if setting.startswith("slurm.") else "run"
    flag = "--" + setting.rpartition(".")[2].replace("_", "-")
    return flag if setting.count(".") != 1 and flag in options_called(command) else None


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").splitlines()[0].rstrip(".")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; rows may be shorter than its head."""
    lines = [heads, ["---"] * len(heads), *rows]
    padded = ([*line, *[""] * (len(heads) - len(line))] for line in lines)
    return "\n".join(f"| {' | '.join(map(_escaped, line))} |" for line in padded)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")
