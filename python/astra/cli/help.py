"""``astra help``."""

from typing import Annotated

import typer

from astra.cli.console import examples

EXAMPLES = examples(
    "astra help",
    "astra help run",
    "astra help ingest apstar",
    "astra help run astronn_dist",
)


def help(  # noqa: A001 - the command is called so
    context: typer.Context,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="COMMAND", help="The command; without one, all are listed.")
    ] = None,
) -> None:
    """Show the help of a command.

    `astra help run` is `astra run --help`, and with a task, its options are shown as well.
    """
    root = context.find_root()
    with root.command.make_context(root.info_name, [*(words or ()), "--help"], color=root.color) as again:
        root.command.invoke(again)
