"""What the tests of the schema share."""

import pytest

from astra.cli import main


@pytest.fixture
def astra(capsys):
    """Runs a command line; gives exit code, stdout, stderr."""

    def call(*arguments):
        code = main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return call
