"""The reference checker of FITS files, of HEASARC: Debian's package ``fitsverify``."""

import re
import subprocess
from pathlib import Path


def verdict(path: Path) -> str:
    """What it says of a file in its last words; if there are warnings or errors, all that it says."""
    said = subprocess.run(["fitsverify", str(path)], capture_output=True, text=True, check=False).stdout
    (found,) = re.findall(r"\*\*\*\* Verification found (.*) \*\*\*\*", said)
    return found if found == "0 warning(s) and 0 error(s)." else said
