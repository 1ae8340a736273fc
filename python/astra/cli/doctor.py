"""``astra doctor``."""

import typer

from astra.cli.console import AsJson, examples, note, say, say_json

EXAMPLES = examples(
    "astra doctor",
    "astra doctor --json",
    "astra doctor && astra run astronn_dist",
)

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(as_json: AsJson = False) -> None:
    """Check the set-up: one line for each thing, with what to do about it.

    ok: as it should be; warn: a run works, but look at it; fail: a run would fail. Nothing is changed in
    the database. Exit codes: 0 if nothing fails, else the one of the first failure, as of a run: 69
    database not reachable, 70 internal error, 74 no right or no room to write, 75 the disk of the spectra
    is lost, 78 wrong configuration, schema or weights.
    """
    from astra.doctor.checkup import examine, summary
    from astra.doctor.findings import exit_code_of

    findings = []
    for found in examine():
        findings.append(found)
        if not as_json:
            said = found.line().removeprefix(found.level)
            say(said, before=typer.style(found.level, fg=_COLOURS[found.level]))
    exit_code = exit_code_of(findings)
    if as_json:
        say_json({"findings": [found.as_dict() for found in findings], "exit_code": exit_code})
    else:
        note(summary(findings))
    raise typer.Exit(exit_code)
