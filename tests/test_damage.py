"""Files that are damaged, or made to do harm: each library, each damage, one exit code and one line."""

import gzip
import io
import json
import os
import pickle
import random
import re
import shutil
import socket
import struct
import subprocess
import sys
from collections import Counter

import h5py
import numpy as np
import pytest
import yaml
from astropy.table import Table
from builders import a_source, write_apstar, write_mwmstar
from conftest import ROOT
from weights_files import HDF5, JSON, write_checkpoint, write_folder

from astra.config import load_settings
from astra.damage import check_yaml, damage, reason
from astra.database.connection import bound_to, open_database
from astra.errors import ConfigError, UsageError
from astra.ingest.tables import table
from astra.modelling.simulator import TRUTH
from astra.pipelines.astronn_dist.weights.files import SHAPES, Weights, save_weights

STAR = "2M00000001+0000000"

# > The kinds of files: how a good one is written, what reads it, the exit code where it is damaged


def _a_table(path, form):
    names = [f"2M{number:08d}+0000000" for number in range(300)]
    content = {"apogee_id": names, "k_mag": np.linspace(8, 12, 300), "ebv": np.full(300, 0.25)}
    if form == "parquet":
        pyarrow = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(pyarrow.table(content), path)
    else:
        Table(content).write(path, format=form)


def _tensors():
    generator = np.random.default_rng(7)
    tensors = {name: generator.normal(0, 0.05, shape).astype(np.float32) for name, shape in SHAPES.items()}
    return tensors | {"labels_std": np.array([30.0], np.float32)}


def _settings(path):
    path.write_text("models_dir: /models\nslurm:\n  north: {account: a, partition: p}\n")


def _catalogue(form):
    return (lambda path: _a_table(path, form)), ("ingest", "catalog"), 2


KINDS = {
    f"apStar-dr17-{STAR}.fits": (write_apstar, ("ingest", "apstar"), 0),
    "mwmStar-0.6.0-1.fits": (lambda path: write_mwmstar(path, {}), ("ingest", "mwmstar"), 0),
    "table.csv": _catalogue("ascii.csv"),
    "table.ecsv": _catalogue("ascii.ecsv"),
    "table.vot": _catalogue("votable"),
    "table.mrt": _catalogue("ascii.mrt"),
    "table.fits": _catalogue("fits"),
    "table.parquet": _catalogue("parquet"),
    "model.pt": (lambda path: write_checkpoint(path, _tensors()), ("models", "show"), 78),
    "model.safetensors": (
        lambda path: save_weights(Weights("", "", _tensors()), path),
        ("models", "show"),
        78,
    ),
    f"folder/{JSON}": (lambda path: write_folder(path.parent, _tensors()), ("models", "show"), 78),
    f"folder/{HDF5}": (lambda path: write_folder(path.parent, _tensors()), ("models", "show"), 78),
    "astra.yml": (_settings, ("config", "show"), 78),
}


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """The content of a good file of each kind, and of what belongs to it."""
    folder = tmp_path_factory.mktemp("good")
    for name, (write, _, _) in KINDS.items():
        if not (folder / name).exists():
            write(folder / name)
    return folder


@pytest.fixture(scope="module")
def a_database(sqlite_template, tmp_path_factory):
    """A database with one star."""
    path = shutil.copyfile(sqlite_template, tmp_path_factory.mktemp("database") / "astra.db")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("ASTRA_DATABASE_PATH", str(path))
        with bound_to(open_database(load_settings())):
            a_source(sdss4_apogee_id=STAR)
    return path


@pytest.fixture
def read(astra, a_database, monkeypatch):
    """Reads a file of a kind by the command for it; gives the exit code and what it says."""

    def call(kind, path):
        _, command, _ = KINDS[kind]
        monkeypatch.setenv("ASTRA_DATABASE_PATH", str(a_database))
        if kind == "astra.yml":
            monkeypatch.setenv("ASTRA_CONFIG", str(path))
            code, _, errors = astra(*command)
        elif "/" in kind:
            code, _, errors = astra(*command, path.parent)
        else:
            code, _, errors = astra(*command, path)
        assert "Traceback" not in errors
        assert (errors.count("astra: error:") == 1) is (code != 0), errors
        return code, errors

    return call


# > Damage that befalls any file


def _flipped(content):
    generator, changed = random.Random(1), bytearray(content)
    for _ in range(200):
        changed[generator.randrange(len(changed))] ^= 1 << generator.randrange(8)
    return bytes(changed)


DAMAGE = {
    "empty": lambda content: b"",
    "half of it": lambda content: content[: len(content) // 2],
    "all but the end": lambda content: content[:-5],
    "zeros": lambda content: bytes(len(content)),
    "flipped bits": _flipped,
    "another kind": lambda content: b"This is a text, and not what the name says.\n" * 50,
    "nested": lambda content: b"[" * 100_000,
    "compressed": gzip.compress,
    "a byte order mark": lambda content: b"\xef\xbb\xbf" + content,
    "not UTF-8": lambda content: content[:500] + b"\xff\xfe\xfd" + content[500:],
}
#: What is read all the same: there is no telling it from a good file, or it is one.
READ = {
    "flipped bits": {"apStar", "model.pt", "model.safetensors", HDF5},
    "compressed": {"apStar", "mwmStar", "table.csv", "table.ecsv", "table.vot", "table.mrt", "table.fits"},
    "a byte order mark": {"table.csv", "table.ecsv", "table.vot", "table.mrt", "astra.yml"},
    "not UTF-8": {"table.csv"},
    "all but the end": {"table.csv", "table.mrt", "table.fits"},
    "half of it": {"table.mrt", "astra.yml"},
    "empty": {"astra.yml"},
}


def _here(good, folder, kind):
    """A copy of a good file, with what belongs to it."""
    source, path = good / kind, folder / kind
    if source.parent != good:
        shutil.copytree(source.parent, path.parent)
    else:
        shutil.copyfile(source, path)
    return path


@pytest.mark.parametrize("what", DAMAGE)
@pytest.mark.parametrize("kind", KINDS)
def test_damage_of_any_file_ends_with_one_line_and_the_exit_code_of_its_kind(
    good, read, tmp_path, kind, what
):
    path = _here(good, tmp_path, kind)
    path.write_bytes(DAMAGE[what](path.read_bytes()))

    code, errors = read(kind, path)

    is_read = any(each in kind for each in READ.get(what, ()))
    assert code == (0 if is_read else KINDS[kind][2]), errors
    assert is_read or errors


# > What is not a file


def _socket(path):
    # The name of a socket has 107 bytes at most.
    os.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as stream:
        stream.bind(path.name)


NO_FILES = {
    "a named pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a socket": _socket,
    "a folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("what", NO_FILES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_a_file_is_refused_at_once_by_what_it_is(good, read, tmp_path, monkeypatch, kind, what):
    monkeypatch.chdir(tmp_path)
    path = _here(good, tmp_path, kind)
    path.unlink()
    NO_FILES[what](path)

    code, errors = read(kind, path)

    assert code == KINDS[kind][2]
    # A folder can be one of weights.
    assert f"not a file, but {what}" in errors or (what == "a folder" and kind.startswith("model."))


COMMANDS = [
    "compare .",
    f"run astronn_dist --count --stars-from {TRUTH}",
    f"report astronn_dist --labels {TRUTH}",
    f"distance {TRUTH}",
    f"ingest allstar {TRUTH}",
    f"ingest apstar . --catalog {TRUTH}",
]


@pytest.mark.parametrize("what", NO_FILES)
@pytest.mark.parametrize("words", COMMANDS)
def test_so_is_whatever_else_a_command_reads(a_database, astra, tmp_path, monkeypatch, words, what):
    monkeypatch.setenv("ASTRA_DATABASE_PATH", str(a_database))
    monkeypatch.chdir(tmp_path)
    NO_FILES[what](tmp_path / TRUTH)

    code, _, errors = astra(*words.split())

    assert (code, errors.count(f"not a file, but {what}")) == (2, 1), errors


@pytest.mark.parametrize("place", ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"])
def test_a_list_of_stars_may_come_from_a_pipe_that_is_open_already(place):
    ran = subprocess.run(
        [sys.executable, "-c", f"from astra.running.star_list import *; print(read_stars(Path({place!r})))"],
        input=STAR,
        capture_output=True,
        text=True,
        check=True,
    )

    assert STAR in ran.stdout


def test_the_null_device_is_a_settings_file_without_settings(astra, monkeypatch):
    monkeypatch.setenv("ASTRA_CONFIG", os.devnull)

    assert astra("config", "show")[0] == 0


# > What is made to do harm


def _packed(begin, unit, count):
    """Much in little."""
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=1) as packed:
        packed.write(begin)
        for _ in range(count):
            packed.write(unit)
    return stream.getvalue()


def _safetensors(header):
    return struct.pack("<Q", len(header)) + header


def _noted(text):
    """A file of weights whose maker noted this."""
    return _safetensors(json.dumps({"__metadata__": {"astra": text}}).encode())


class _Runs:
    def __reduce__(self):
        return os.abort, ()


# References to references, nine of each.
_LAUGHS = [
    "a0: &a0 {x: 1}",
    *(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 12)),
]
_ECSV = "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: apogee_id, datatype: string}\n"
_ROWS = "apogee_id\nA\n"
_ENTITIES = '<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
_VOTABLE = (
    '<VOTABLE version="1.3"><RESOURCE><TABLE><FIELD name="apogee_id" datatype="char" arraysize="9"/><DATA>'
)
_BIG_CARD = b"COMMENT" + b" " * 73

HARM = {
    "table.csv": {
        "a line that fills the memory": _packed(b"apogee_id,k_mag\n", b"x" * 2**20, 17),
        "a field that fills the memory": b'apogee_id,k_mag\nA,"' + b"x" * 200_000 + b'"\n',
    },
    "table.ecsv": {
        "brackets": _ECSV + "# meta: " + "[" * 100_000 + "\n" + _ROWS,
        "references": _ECSV + "# meta:\n" + "".join(f"#   {line}\n" for line in _LAUGHS) + _ROWS,
        "itself": _ECSV + "# meta: &a {a: *a}\n" + _ROWS,
        "a call": _ECSV + "# meta: !!python/object/apply:os.abort []\n" + _ROWS,
        "a date": _ECSV + "# meta: {a: 2020-99-99}\n" + _ROWS,
    },
    "table.vot": {
        "entities": f"<!DOCTYPE V [{_ENTITIES}]>{_VOTABLE}<TABLEDATA><TR><TD>&a11;</TD></TR>",
        "another file": f'{_VOTABLE}<BINARY><STREAM href="file:///dev/zero"/></BINARY>',
        "another address": f'{_VOTABLE}<FITS><STREAM href="http://127.0.0.1:9/x"/></FITS>',
        "elements in elements": "<VOTABLE>" + "<RESOURCE>" * 100_000,
    },
    "table.fits": {
        "a header without an end": b"SIMPLE  =" + b" " * 71 + _BIG_CARD * 36 * 3000,
        "rows that nobody has": (b"= " + b"300".rjust(20), b"= " + b"9" * 20),
        "rows that are no number": (b"= " + b"300".rjust(20), b"= " + b"'abc'".ljust(20)),
    },
    "model.pt": {"code to run": pickle.dumps(_Runs()), "a text": pickle.dumps("x")},
    "model.safetensors": {
        "a huge header": struct.pack("<Q", 2**63) + b"{}",
        "a huge tensor": _safetensors(b'{"a":{"dtype":"F32","shape":[4611686018427387904]}}'),
        "brackets": _noted("[" * 100_000),
        "a number of many digits": _noted('{"details":{"a":' + "1" * 5000 + "}}"),
    },
    f"folder/{JSON}": {"a list": "[]", "a number of many digits": '{"input_mean":' + "1" * 5000 + "}"},
    "astra.yml": {
        "brackets": "[" * 100_000,
        "groups": "models_dir: " + "{a: " * 5000 + "}" * 5000,
        "references": "\n".join(_LAUGHS),
        "itself": "models_dir: &a [*a]",
        "a call": "models_dir: !!python/object/apply:os.abort []",
        "a date": "models_dir: 2020-99-99",
        "a time that is none": "models_dir: !!timestamp x",
        "a number that is none": "models_dir: !!int x",
        "a number of no digits": "models_dir: !!float ''",
        "a number of many digits": "models_dir: " + "1" * 5000,
        "half a character": 'models_dir: "\\ud800"',
        "a zero byte": 'models_dir: "/x\\0y"',
        "a path that fills the memory": 'apstar_path: "/{obj:99999999999}"',
        "a megabyte": "models_dir: " + "x" * 2**20,
    },
}  # fmt: skip


@pytest.mark.parametrize(("kind", "what"), [(kind, what) for kind in HARM for what in HARM[kind]])
def test_what_is_made_to_do_harm_is_refused(good, read, tmp_path, kind, what):
    path, content = _here(good, tmp_path, kind), HARM[kind][what]
    if isinstance(content, tuple):
        assert content[0] in path.read_bytes()
        content = path.read_bytes().replace(*content)
    path.write_bytes(content.encode() if isinstance(content, str) else content)

    code, errors = read(kind, path)

    assert code == KINDS[kind][2], errors


PACKED = {
    "table.csv": (b"apogee_id,k_mag\n", b"2M00000001+0000000,9.5\n" * 100),
    "table.ecsv": (f"{_ECSV}{_ROWS}".encode(), b"2M00000001+0000000\n" * 100),
    "table.vot": (_VOTABLE.encode(), b"<TR><TD>A</TD></TR>" * 100),
    "table.fits": (b"SIMPLE  =" + b" " * 71, _BIG_CARD * 36),
}


@pytest.mark.parametrize("kind", PACKED)
def test_a_small_file_that_unpacks_to_a_large_one_is_refused(read, tmp_path, monkeypatch, kind):
    monkeypatch.setattr(table, "_LARGEST", 1 << 20)
    begin, unit = PACKED[kind]
    path = tmp_path / kind
    path.write_bytes(_packed(begin, unit, 2000))

    code, errors = read(kind, path)

    assert code == 2
    assert "unpacks to more than 100 times its size" in errors or "has no end" in errors


# > HDF5, whose data may lie elsewhere


def _link_to_another_file(file, other):
    del file["model_weights/output"]
    file["model_weights/output"] = h5py.ExternalLink(other, "/model_weights/output")


def _link_of_the_root(file, other):
    del file["model_weights"]
    file["model_weights"] = h5py.ExternalLink(other, "/model_weights")


def _soft_link(file, other):
    file["elsewhere"] = h5py.ExternalLink(other, "/")
    del file["model_weights"]
    file["model_weights"] = h5py.SoftLink("/elsewhere/model_weights")


KERNEL = "model_weights/dense/dense/kernel:0"
SHAPE = (7512, 192)


def _external(file, other):
    del file[KERNEL]
    file.create_dataset(KERNEL, SHAPE, "f4", external=[("/dev/zero", 0, h5py.h5f.UNLIMITED)])


def _external_pipe(file, other):
    os.mkfifo(other.with_name("pipe"))
    del file[KERNEL]
    file.create_dataset(KERNEL, SHAPE, "f4", external=[(str(other.with_name("pipe")), 0, 6_000_000)])


def _virtual(file, other):
    del file[KERNEL]
    layout = h5py.VirtualLayout(SHAPE, "f4")
    layout[:] = h5py.VirtualSource(other, KERNEL, SHAPE)
    file.create_virtual_dataset(KERNEL, layout)


def _huge(file, other):
    del file[KERNEL]
    file.create_dataset(KERNEL, (2**32,), "f4", chunks=(2**20,), compression="gzip")


def _deep(file, other):
    group = file["model_weights"]
    for _ in range(3000):
        group = group.create_group("a")


def _within_itself(file, other):
    file["model_weights/dense/again"] = file["model_weights"]


def _no_layer(file, other):
    file["model_weights/x"] = 1


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        *(
            (harm, "is a link, which may lead to other files")
            for harm in (_link_to_another_file, _link_of_the_root)
        ),
        (_soft_link, "is a link, which may lead to other files"),
        *((harm, "is not in the file, but in others") for harm in (_external, _external_pipe, _virtual)),
        (_huge, "has the shape .4294967296,."),
        (_deep, "nested too deeply"),
        (_within_itself, "is in the file twice"),
        (_no_layer, "damaged, or of another format"),
    ],
)
def test_hdf5_weights_hold_their_data_themselves(good, read, tmp_path, harm, said):
    kind = f"folder/{HDF5}"
    path = _here(good, tmp_path, kind)
    other = shutil.copyfile(path, tmp_path / "other.h5")
    with h5py.File(path, "a") as file:
        harm(file, other)

    code, errors = read(kind, path)

    assert code == 78
    assert re.search(said, errors)


# > Thousands of files, damaged by chance

# Damages a file of a kind again and again, and reads it by a command, or some at a time if it takes them.
# An alarm ends it if it hangs.
SCRIPT = """
import pathlib, signal, sys
from astra.cli import main
from fits_fuzzer import damaged
good, kind, size, count, *command = sys.argv[1:]
content = pathlib.Path(good, kind).read_bytes()
paths = [pathlib.Path(str(number), kind) for number in range(int(size))]
for first in range(0, int(count), len(paths)):
    for seed, path in enumerate(paths, first):
        path.write_bytes(damaged(content, seed))
    signal.alarm(300)
    words = [str(path.parent if "/" in kind else path) for path in paths]
    print("code", main([*command, *words]), first, flush=True)
print(open("/proc/self/status").read())
"""
COUNT = 1300
#: Of the kinds that are read one by one, how many at a time, and the exit codes that there can be.
MANY = {
    f"apStar-dr17-{STAR}.fits": (("distance",), 100, {0}),
    **{kind: (KINDS[kind][1], 1, {0, 2}) for kind in KINDS if kind.startswith("table")},
    **{kind: (KINDS[kind][1], 1, {0, 78}) for kind in KINDS if kind.startswith("model")},
    f"folder/{HDF5}": (("models", "show"), 1, {0, 78}),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", MANY)
def test_files_that_are_damaged_by_chance_end_with_one_line_too(
    good, a_database, tmp_path, monkeypatch, kind
):
    command, size, codes = MANY[kind]
    monkeypatch.setenv("ASTRA_DATABASE_PATH", str(a_database))
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests"))
    for number in range(size):
        (tmp_path / str(number)).mkdir()
        _here(good, tmp_path / str(number), kind)

    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, good, kind, str(size), str(COUNT), *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout[-500:] + ran.stderr[-3000:]
    found = Counter(map(int, re.findall(r"^code (\d+)", ran.stdout, re.MULTILINE)))
    assert sum(found.values()) == COUNT // size
    assert {*found} <= codes
    assert ran.stderr.count("astra: error:") == sum(found.values()) - found[0]
    assert not re.search("Traceback|internal error", ran.stderr)
    assert int(re.search(r"VmHWM:\s*(\d+) kB", ran.stdout)[1]) < 1_000_000


# > What is no damage


BROKEN = {
    "missing": "raise ModuleNotFoundError(\"No module named 'torch._C'\", name='torch._C')",
    "half installed": "raise OSError('libgomp.so.1: cannot open shared object file')",
    "of another version": "raise AttributeError(\"module 'numpy' has no attribute 'bool8'\")",
}


@pytest.mark.parametrize("why", BROKEN)
def test_torch_that_cannot_be_imported_is_not_damaged_weights(good, tmp_path, why):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(BROKEN[why])
    run = [sys.executable, "-m", "astra", "models", "show", good / "model.pt"]

    ran = subprocess.run(
        run, env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )

    assert ran.returncode == 78
    assert "the package torch cannot be imported" in ran.stderr
    assert "pip install --force-reinstall torch" in ran.stderr
    assert "damaged" not in ran.stderr


def test_an_error_of_ours_and_what_stops_the_process_are_no_damage():
    for kind in (UsageError, ConfigError, KeyboardInterrupt, SystemExit):
        with pytest.raises(kind, match="as it is"), damage(RuntimeError):
            raise kind("as it is")


def test_a_panic_of_rust_is_damage_though_it_is_no_exception():
    panic = type("PanicException", (BaseException,), {})

    with pytest.raises(UsageError, match="called unwrap on None"), damage(UsageError):
        raise panic("called unwrap on None")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(5, "Input/output error", "x"), "Input/output error"),
        (EOFError(), "EOFError"),
        (KeyError("snr"), "it has no snr"),
        (KeyError(101), "KeyError: 101"),
        (RecursionError("maximum"), "nested too deeply"),
        (MemoryError(), "more memory is asked for than there is"),
        (ValueError("over\nseveral\nlines " + "x" * 1000), "over several lines " + "x" * 181),
    ],
)
def test_what_a_library_says_becomes_a_few_words_on_one_line(error, said):
    assert reason(error) == said


@pytest.mark.parametrize(
    "text", ["a: &a [1, 2]\nb: *a\nc: [*a, *a]", "", "[" * 40 + "]" * 40, "a: {<<: {b: 1}}"]
)
def test_ordinary_yaml_with_references_is_none_of_it(text):
    check_yaml(text)


def test_a_fault_of_yaml_has_its_line():
    with pytest.raises(yaml.YAMLError, match="nested too deeply(.|\n)*line 2"):
        check_yaml("a: 1\nb: " + "[" * 60)
