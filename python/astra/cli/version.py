"""``astra version``."""

from astra.cli.console import say

EXAMPLES = "Example: astra version"


def version() -> None:
    """Print the version of Astra."""
    from astra import __version__

    say(__version__)
