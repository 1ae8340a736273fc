"""``astra completion``: the Tab key in bash, zsh and fish, by what typer has for it.

A shell asks with every Tab. Commands and options are known without a database, and so are the values that
``VALUES`` completes. What is known only once models are loaded, which takes half a second, is kept in the
user's cache until a package is installed or changed.
"""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import CompletionItem

from astra.cli.console import examples, say

EXAMPLES = examples(
    "astra completion bash > ~/.local/share/bash-completion/completions/astra",
    "astra completion fish > ~/.config/fish/completions/astra.fish",
    'eval "$(astra completion zsh)"',
)

#: The variable by which the script of a shell asks for completions.
VARIABLE = "_ASTRA_COMPLETE"


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(shell: Annotated[Shell, typer.Argument(help="Your shell.")]) -> None:
    """Print the script with which the Tab key completes commands and values.

    For bash and fish, write it to a file, as the first two examples do: new shells read it. For zsh, put the
    line of the third example at the end of ~/.zshrc, below compinit. In bash and fish the same works for the
    present shell: `eval "$(astra completion bash)"`, `astra completion fish | source`.
    """
    from typer.completion import get_completion_script

    say(get_completion_script(prog_name="astra", complete_var=VARIABLE, shell=shell))


def answer(run: Callable[[], Any]) -> int:
    """Print the completions that a shell asks for; whatever goes wrong, a command line stays as it is.

    Args:
        run: Runs the command line.

    Returns:
        The exit code.
    """
    from typer.completion import completion_init

    completion_init()
    _join_option_and_value()
    try:
        return run() or 0
    except SystemExit as ended:
        return ended.code or 0
    except Exception:  # noqa: BLE001 - an error would be written over what somebody types
        return 1


def _join_option_and_value() -> None:
    """Bash takes `--kind=result` for three words, typer for two."""
    words, place = os.environ.get("COMP_WORDS", "").split("\n"), int(os.environ.get("COMP_CWORD") or 0)
    if 1 < place < len(words) and words[place - 1] == "=":
        del words[place - 1]
        os.environ |= {"COMP_WORDS": "\n".join(words), "COMP_CWORD": str(place - 1)}


# > Values


def complete_values(parameters: Iterable[Any], command: str) -> None:
    """Let the parameters of a command complete their values, as ``VALUES`` says.

    Args:
        parameters: Arguments and options.
        command: The command, with the group that it is in.
    """
    for each in parameters:
        # What checks a value takes as long to load as all else.
        each.process_value = lambda context, value: value
        words = VALUES.get(f"{command} {each.name}", VALUES.get(each.name))
        if words is not None and each.type_descriptor.choices is None:
            each.shell_complete = lambda context, incomplete, words=words: _items(words(context), incomplete)


def _items(words: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """The words that begin as what is there of the last part of a list with commas."""
    before, comma, last = incomplete.rpartition(",")
    return [CompletionItem(f"{before}{comma}{word}") for word in words if word.startswith(last)]


def options_of(task: str, incomplete: str) -> list[CompletionItem]:
    """The options of a task that begin as what is there."""
    found = _known()["options"].get(task, {})
    return [CompletionItem(name, help=text) for name, text in found.items() if name.startswith(incomplete)]


def _from_models(kind: str) -> Callable[[typer.Context], Sequence[str]]:
    return lambda context: _known()[kind]


def _flags(context: typer.Context) -> Sequence[str]:
    return _known()["flags"].get(context.params.get("kind") or "result_flags", ())


def _weights(context: typer.Context) -> Sequence[str]:
    known, folder = _known(), os.environ.get("ASTRA_MODELS_DIR")
    if folder is None:
        folder = known["models_dir"]
        if "ASTRA_CONFIG" in os.environ or any(map(os.path.exists, known["settings_files"])):
            from astra.config import load_settings

            folder = load_settings().models_dir
    there = Path(os.path.expandvars(folder)).expanduser()
    suffixes = tuple(known["suffixes"])
    own = sorted(each.name for each in there.iterdir()) if there.is_dir() else []
    return [*known["weights"], *(Path(name).stem if name.endswith(suffixes) else name for name in own)]


def _commands(context: typer.Context) -> Iterable[str]:
    group = context.find_root().command
    for word in context.params.get("words") or ():
        group = group.commands[word]
    return getattr(group, "commands", ())


#: What completes the value of an argument or option, by its name, or by those of its command and its own.
VALUES = {
    "astra help words": _commands,
    "models show name": _weights,
    "tasks show name": _from_models("tasks"),
    "task": _from_models("tasks"),
    "product": _from_models("tasks"),
    "flags": _flags,
    "kind": _from_models("kinds"),
    "columns": _from_models("columns"),
    "order": _from_models("columns"),
    "where": _from_models("columns"),
    "condition": _from_models("columns"),
    "fill": _from_models("fills"),
    "weights": _weights,
    "setting": _from_models("settings"),
}


# > What is kept


def _known() -> dict[str, Any]:
    """What is known once models are loaded, from the cache if nothing was installed or changed since."""
    import json

    import platformdirs

    from astra.system.atomic import replaced

    state, file = _state(), platformdirs.user_cache_path("astra") / "completion.json"
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        if kept["state"] == state:
            return kept
    except (OSError, ValueError, KeyError, TypeError):
        pass  # made again below
    found = _loaded()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with replaced(file) as stream:
            stream.write(json.dumps(found | {"state": state}).encode())
    except OSError:
        pass  # then it takes longer each time
    return found


def _state() -> list[Any]:
    """What changes if a package is installed, removed or, of this package, edited."""
    ours = Path(__file__).parents[1]
    folders = [*filter(os.path.isdir, sys.path), *(path for path in ours.rglob("*") if path.suffix == ".py")]
    return [[str(folder), os.stat(folder).st_mtime_ns] for folder in folders]


def _loaded() -> dict[str, Any]:
    import platformdirs

    from astra.config import OWN_FILE, UPSTREAM_FILES, known_settings
    from astra.models import Distance
    from astra.models.explain import OF_DISTANCES
    from astra.models.fields import BitField, flags_of
    from astra.pipelines.astronn_dist.weights import files, library
    from astra.system.arguments import option_name
    from astra.tasks.contract import Task
    from astra.tasks.installed import installed_tasks

    tasks = {name: each for name, each in installed_tasks().items() if isinstance(each, Task)}
    bits = [
        field.column_name
        for model in OF_DISTANCES
        for field in model._meta.sorted_fields
        if isinstance(field, BitField)
    ]
    return {
        "tasks": sorted(tasks),
        "kinds": bits,
        "flags": {kind: [name for model in OF_DISTANCES for name in flags_of(model, kind)] for kind in bits},
        "columns": [field.column_name for field in Distance._meta.sorted_fields],
        "fills": list(dict.fromkeys(fill for task in tasks.values() for fill in task.fills)),
        "settings": [name for name, _ in known_settings()],
        "settings_files": [os.path.expanduser(path) for path in (OWN_FILE, *UPSTREAM_FILES)],
        "models_dir": str(platformdirs.user_data_path("astra") / "models"),
        "weights": list(library.embedded_models()),
        "suffixes": files.SUFFIXES,
        "options": {
            name: {option_name(each.name): each.declared.help or "" for each in task.options.values()}
            for name, task in tasks.items()
        },
    }
