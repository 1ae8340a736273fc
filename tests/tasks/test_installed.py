"""What is wrong with a package that offers tasks is one line that names it; no other task stops for it."""

import guests
import pytest
from builders import a_source, a_spectrum, on_sqlite

pytestmark = on_sqlite

TWO_LINES = "raise RuntimeError('broken\\non purpose')"
EXITS = "import sys; sys.exit('no licence')"


@pytest.fixture
def install(db, tmp_path, monkeypatch):
    """Installs a package, with entry points as given if they are."""

    def call(code, *tasks, points=None, package="guest_package", **more):
        guests.install(tmp_path / package, monkeypatch, code, *tasks, package=package, **more)
        if points is not None:
            (tmp_path / package / f"{package}-1.0.dist-info" / "entry_points.txt").write_text(points)

    return call


def _with(text, *said):
    return [line for out in said for line in out.splitlines() if text in line]


@pytest.mark.parametrize(
    ("code", "points", "reason"),
    [
        (EXITS, "x = guest_package:x", "guest_package:x (SystemExit: no licence)"),
        (TWO_LINES, "x = guest_package:x", "guest_package:x (RuntimeError: broken on purpose)"),
        ("", "x =", "guest-package (ValueError: '' names nothing: write x = MODULE:FUNCTION)"),
        ("", "x = a-b:c", "a-b:c (ValueError: 'a-b:c' names nothing: write x = MODULE:FUNCTION)"),
    ],
    ids=["exits", "two lines", "empty", "malformed"],
)
def test_a_task_that_cannot_be_loaded_is_one_line_and_harms_no_other(astra, install, code, points, reason):
    install(code, points=f"[astra.tasks]\n{points}\n")
    line = f"task 'x' cannot be loaded from {reason}"

    assert astra("init")[::2] == (78, f"astra: error: {line}\n")
    for words in (("status",), ("status", "--check", "--max-pending", "0"), ("doctor",), ("tasks",)):
        said = astra(*words)
        assert len(_with(line, *said[1:])) == 1, (words, said)
    assert astra("run", "x")[::2] == (78, f"astra: error: {line}\n")
    a_spectrum(a_source())
    assert astra("run", "astronn_dist")[0] == 0


def test_ctrl_c_while_a_package_is_imported_is_no_fault_of_it(astra, install):
    install("raise KeyboardInterrupt", "x")

    assert astra("tasks")[:2] == (130, "")


def test_a_package_of_migrations_that_exits_is_one_line(astra, install, tmp_path):
    install(guests.GOOD, "count_pixels", migrations={})
    for folder in ("guest_migrations", "guest_migrations/below"):
        (tmp_path / "guest_package" / folder).mkdir()
    (tmp_path / "guest_package/guest_migrations/__init__.py").write_text(EXITS)
    points = "[astra.tasks]\ncount_pixels = guest_package:count_pixels\n"
    points += "[astra.migrations]\nguest = guest_migrations.below\n"
    (tmp_path / "guest_package/guest_package-1.0.dist-info/entry_points.txt").write_text(points)

    code, _, err = astra("init")

    said = "package 'guest': no migrations found in guest_migrations.below (SystemExit: no licence)"
    assert (code, err) == (78, f"astra: error: {said}\n")


def test_our_own_task_stays_where_a_package_takes_its_name(astra, install):
    install(guests.GOOD, "astronn_dist", "count_pixels")
    line = (
        "package guest-package offers a task 'astronn_dist' too (guest_package:astronn_dist), which is left "
        "out: that of this package is in force"
    )

    assert astra("init")[0] == 0
    for command in ("status", "doctor", "tasks"):
        assert len(_with(line, astra(command)[1])) == 1
    for task in ("astronn_dist", "count_pixels"):
        assert astra("run", task)[0] == 0


def test_two_packages_with_a_task_of_one_name_are_named(astra, install):
    install(guests.GOOD, "count_pixels")
    install(guests.GOOD, "count_pixels", package="other_guest")

    code, _, err = astra("run", "count_pixels")

    places = "guest-package (guest_package:count_pixels) and other-guest (other_guest:count_pixels)"
    said = f"two packages offer the task 'count_pixels': {places}; uninstall one"
    assert (code, err) == (78, f"astra: error: {said}\n")


@pytest.mark.parametrize("group", ["astra.task", "astra_tasks", "Astra.Tasks"])
def test_a_group_with_a_misspelt_name_is_a_warning_that_names_the_right_one(astra, install, group):
    install(guests.GOOD, points=f"[{group}]\ncount_pixels = guest_package:count_pixels\n")
    line = (
        f"package guest-package has entry points in the group {group!r}; the group of tasks is 'astra.tasks'"
    )

    assert _with(line, astra("doctor")[1]) == [f"warn  tasks          {line}"]
    for command in ("status", "tasks"):
        assert _with(line, astra(command)[1]) == [line]


@pytest.mark.parametrize("group", ["astra.plugins", "mastra", "pytest11", "astropy.tasks"])
def test_groups_of_others_are_no_misspelt_ones(astra, install, group):
    install(guests.GOOD, points=f"[{group}]\ncount_pixels = guest_package:count_pixels\n")

    assert _with(group, astra("doctor")[1], astra("status")[1]) == []


def test_a_package_whose_groups_have_been_misspelt_since_is_not_said_to_be_absent(
    astra, install, tmp_path, monkeypatch
):
    install(guests.GOOD, "count_pixels", migrations=guests.MIGRATIONS)
    install(guests.GOOD, "count_pixels_too", package="other_guest")
    astra("init")
    for package in ("guest_package", "other_guest"):
        guests.uninstall(tmp_path / package, monkeypatch)
    assert len(_with("is not installed here", astra("status")[1])) == 2

    points = "[astra.task]\nx = guest_package:x\n[astra.migration]\nguest = guest_migrations\n"
    guests.install(tmp_path / "next", monkeypatch, guests.GOOD)
    (tmp_path / "next/guest_package-1.0.dist-info/entry_points.txt").write_text(points)
    guests.install(tmp_path / "other_next", monkeypatch, guests.GOOD, package="other_guest")

    assert _with("is not installed here", astra("status")[1], astra("doctor")[1]) == []
    assert _with("the group of migrations is 'astra.migrations'", astra("status")[1])


def test_entry_points_that_nobody_can_read_are_an_error_that_names_their_package(astra, install):
    install("", points="[console_scripts]\nno sign at all\n")

    code, out, err = astra("tasks")

    assert (code, out, err.count("\n")) == (78, "", 1)
    assert err.startswith("astra: error: package guest-package: its entry_points.txt cannot be read (")
    assert err.endswith("install it again, or uninstall it\n")


def test_the_options_of_a_task_are_shown_with_what_they_take(astra, install):
    install(guests.LINES, "line_width")

    (line,) = _with("--window", astra("tasks", "show", "line_width")[1])
    assert line.endswith("is searched [Angstrom]. (default: 5.0) [a finite number; changes numbers]")
    (line,) = _with("--n-draws", astra("tasks", "show", "astronn_dist")[1])
    assert line.endswith("(default: 100) [an integer >= 2; changes numbers]"), line
    (line,) = _with("--device", astra("tasks", "show", "astronn_dist")[1])
    assert line.endswith("changes no numbers]")
