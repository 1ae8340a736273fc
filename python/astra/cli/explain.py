"""``astra explain``."""

from enum import StrEnum
from typing import Annotated

import typer

from astra.cli.console import AsJson, examples, say, say_json

EXAMPLES = examples(
    "astra explain 2049",
    "astra explain 0x5",
    "astra explain flag_no_result flag_missing_extinction",
    "astra explain 17 --kind spectrum_flags",
)


class Kind(StrEnum):
    """Whose bits they are."""

    RESULT_FLAGS = "result_flags"
    SPECTRUM_FLAGS = "spectrum_flags"
    EBV_FLAGS = "ebv_flags"


Flags = Annotated[
    list[str], typer.Argument(metavar="FLAGS", help="A number (decimal, 0x…, 0b…), or names of flags.")
]
KindOf = Annotated[Kind, typer.Option("--kind", help="The column that the flags stand in.")]


def explain(flags: Flags, kind: KindOf = Kind.RESULT_FLAGS, as_json: AsJson = False) -> None:
    """Say in words what flags mean, and whether they make a result bad or one to look at twice.

    Several numbers or names count together. Exit codes: 0 said, 2 no such number or flag.
    """
    from astra.models.explain import explain as explained

    found = explained(flags, kind.value)
    if as_json:
        say_json(found.as_dict())
    else:
        say("\n".join(found.lines()))
