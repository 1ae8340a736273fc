"""The documentation as the tests read it: pages, the blocks of code in them, and programs that stand in.

    pages()             README and every page of docs/
    blocks()            the fenced blocks of a page, with their languages
    stand_ins()         commands that a page calls and a test must not: pip, make, sbatch, a training
"""

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

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


def blocks(page: str, language: str | None = None) -> list[Block]:
    """The fenced blocks of a page in their order; only those of one language if one is given."""
    text = (ROOT / page).read_text()
    found = []
    for match in _BLOCK.finditer(text):
        indent, kind, inner = match.groups()
        inner = re.sub(rf"^{indent}", "", inner, flags=re.MULTILINE)
        found.append(Block(page, text[: match.start()].count("\n") + 1, kind, inner))
    return [block for block in found if language in (None, block.language)]


def statements(text: str) -> list[str]:
    """The SQL statements of a block."""
    return [each.strip() for each in re.split(r";[ ]*$", text, flags=re.MULTILINE) if each.strip()]


# A training takes half an hour, and 200 stars too long: the words are read by the real command, and no more.
_ASTRA = """\
#!/bin/sh
case "$1" in
    train) exec "{python}" -m astra "$@" --help >/dev/null ;;
    srun) exec "{python}" -m astra "$@" --dry-run ;;
    simulate) exec "{python}" -m astra "$@" --n 12 ;;
    *) exec "{python}" -m astra "$@" ;;
esac
"""
_PYTHON = """\
#!/bin/sh
[ "$1 $2" = "-m venv" ] || exec "{python}" "$@"
mkdir -p "$3/bin" && ln -s "{folder}/pip" "{folder}/astra" "$3/bin"
"""
# Whether the extra or the package is there to be installed.
_PIP = """\
#!/bin/sh
case "$*" in
    "install .") ;;
    "install '.["*|"install .["*) extra=${{2#.[}}; grep -q "^${{extra%]}} =$" "{root}/setup.cfg" ;;
    *) echo "pip $*" >&2; exit 2 ;;
esac
"""
_MAKE = '#!/bin/sh\nexec /usr/bin/env PATH=/usr/bin:/bin make -n -C "{root}" "$@" >/dev/null\n'
_NOTHING = "#!/bin/sh\n"


def stand_ins(folder: Path) -> Path:
    """Write the programs that stand in, to come first on the PATH; gives their folder."""
    folder.mkdir()
    names = {"python": sys.executable, "root": ROOT, "folder": folder}
    programs = {"astra": _ASTRA, "python3": _PYTHON, "pip": _PIP, "make": _MAKE}
    programs |= dict.fromkeys(("sbatch", "createdb"), _NOTHING)
    for name, text in programs.items():
        path = folder / name
        path.write_text(text.format(**names))
        path.chmod(0o755)
    return folder


def path_with(folder: Path) -> str:
    """A PATH on which a folder comes first."""
    return os.pathsep.join([str(folder), os.environ["PATH"]])
