"""The documentation as the tests read it: pages, the blocks of code in them, and programs that stand in.

pages()             README and every page of docs/
blocks()            the fenced blocks of a page, with their languages
stand_ins()         programs that a page calls and a test must not: pip, make, sbatch
Shell               runs the commands of a page
"""

import glob
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from astra.cli import main
from astra.pipelines.astronn_dist.weights.library import embedded_default

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"

#: How a block says that no test runs it, and why; in a comment, so that readers see it too.
NOT_TESTED = re.compile(r"^(?:#|--) Not tested: (.+)$", re.MULTILINE)

_BLOCK = re.compile(r"^( *)```(\{?[\w-]+\}?)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    page: str
    line: int
    language: str
    text: str

    @property
    def not_tested(self) -> str | None:
        """Why no test runs it, if none does."""
        found = NOT_TESTED.search(self.text)
        return found[1] if found else None

    @property
    def heading(self) -> str:
        """The heading that it stands below."""
        above = (ROOT / self.page).read_text().splitlines()[: self.line]
        return next((line.strip("# ") for line in reversed(above) if line.startswith("#")), "")

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[str]:
    """The README and all pages, by their paths within the project."""
    return ["README.md", *sorted(str(path.relative_to(ROOT)) for path in DOCS.rglob("*.md"))]


def blocks(page: str, language: str | None = None, root: Path = ROOT) -> list[Block]:
    """The fenced blocks of a page of a project in their order; only those of one language if one is given."""
    text = (root / page).read_text()
    found = []
    for match in _BLOCK.finditer(text):
        indent, kind, inner = match.groups()
        inner = re.sub(rf"^{indent}", "", inner, flags=re.MULTILINE)
        found.append(Block(page, text[: match.start()].count("\n") + 1, kind, inner))
    return [block for block in found if language in (None, block.language)]


def statements(text: str) -> list[str]:
    """The SQL statements of a block."""
    return [each.strip() for each in re.split(r";[ ]*$", text, flags=re.MULTILINE) if each.strip()]


# > Commands

#: Options that make a command quick. Of a training the words are read, and its result is the default.
_QUICK = {"train": ["--help"], "srun": ["--dry-run"], "serve": ["--help"], "simulate": ["--n", "12"]}

_ASTRA = '#!/bin/sh\nexec "{python}" -m astra "$@"\n'
# Makes an environment that holds these programs.
_PYTHON = """\
#!/bin/sh
[ "$1 $2" = "-m venv" ] || exec "{python}" "$@"
mkdir -p "$3/bin" && ln -s "{folder}/pip" "{folder}/astra" "$3/bin"
"""
# Whether there is such an extra.
_PIP = """\
#!/bin/sh
case "$*" in
    "install .") ;;
    "uninstall astra astra-distances") ;;
    "install .["*) extra=${{2#*[}}; grep -q "^${{extra%]}} =$" "{root}/setup.cfg" ;;
    *) echo "pip $*" >&2; exit 2 ;;
esac
"""
# Whether there is such a target.
_MAKE = '#!/bin/sh\nexec env PATH=/usr/bin:/bin make -n -C "{root}" "$@" >/dev/null\n'
_NOTHING = "#!/bin/sh\n"


def stand_ins(folder: Path) -> Path:
    """Write programs that stand in for those that a test must not call; gives their folder."""
    folder.mkdir()
    names = {"python": sys.executable, "root": ROOT, "folder": folder}
    programs = {"astra": _ASTRA, "python3": _PYTHON, "pip": _PIP, "make": _MAKE}
    programs |= dict.fromkeys(("sbatch", "createdb"), _NOTHING)
    for name, text in programs.items():
        path = folder / name
        path.write_text(text.format(**names))
        path.chmod(0o755)
    return folder


class Shell:
    """Runs lines as one shell would, with the environment that those before have left.

    A plain call of ``astra`` runs in this process: to start one for each of a hundred takes minutes.

    Args:
        setenv, delenv: Change the environment until the end of the test.
    """

    def __init__(self, setenv: Callable[[str, str], None], delenv: Callable[[str], None]) -> None:
        self._setenv, self._delenv = setenv, delenv

    def run(self, text: str) -> None:
        """Run all lines; the first that fails ends it."""
        for line in text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0] == "astra" and not {"&&", "|", ">"} & set(words):
                expanded = [os.path.expandvars(word) for word in words[1:]]
                self._astra([each for word in expanded for each in sorted(glob.glob(word)) or [word]], line)
            elif words:
                self._bash(line)

    def _astra(self, words: list[str], line: str) -> None:
        code = main(words + _QUICK.get(words[0], []))
        assert code == 0, f"exit code {code}: {line}"
        if words[0] == "train":
            shutil.copyfile(embedded_default(), words[words.index("--output") + 1])

    def _bash(self, line: str) -> None:
        script = f"set -eo pipefail\n{line}\nenv -0 >&3"
        with tempfile.TemporaryFile() as left:
            descriptor = left.fileno()
            command = ["bash", "-c", script.replace(">&3", f">&{descriptor}")]
            done = subprocess.run(command, pass_fds=[descriptor], capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            left.seek(0)
            after = dict(each.split("=", 1) for each in left.read().decode().split("\0") if each)
        for name in os.environ.keys() - after.keys():
            self._delenv(name)
        for name, value in after.items():
            if os.environ.get(name) != value and name not in ("_", "SHLVL"):
                self._setenv(name, value)
