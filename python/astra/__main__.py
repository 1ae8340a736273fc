"""``python -m astra`` is the ``astra`` command."""

import sys

from astra.cli import main

sys.exit(main())
