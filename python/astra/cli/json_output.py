"""What ``--json`` prints: which keys, what each means, and how they were called before.

A key means the same thing wherever it stands. The reference page and a test of the commands read ``PRINTED``
and ``MEANINGS``; ``say_json`` of console.py adds the number of the schema, and for one release the names of
``BEFORE``.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

SCHEMA = 2

#: Of each command, the keys of schema 1 and their names now. The objects have both, until the next release.
BEFORE: dict[str, dict[str, str]] = {
    "compare": {"stars": "results", "stars.apogee_id": "sdss4_apogee_id"},
    "create": {"columns": "column_count", "date": "at"},
    "explain": {"flags": "bits", "kind": "column"},
    "ingest catalog": {"table": "hdu", "columns": "columns_used"},
    "init": {"columns": "columns_added", "tables": "tables_made", "refused": "errors"},
    "init --plan": {
        "seconds": "estimated_s",
        "parts.seconds": "estimated_s",
        "parts.steps.seconds": "estimated_s",
        "parts.problem": "error",
        "parts.rows": "rows_become",
        "problems": "errors",
        "workers": "worker_count",
    },
    "models list": {"problem": "error", "models.fault": "error"},
    "report": {"output": "path", "elapsed": "elapsed_s", "weights": "weights_used"},
    "srun": {"tasks": "array_tasks", "tasks.task": "index"},
    "status": {
        "tasks.notes.results": "rows",
        "tasks.suspects.spectra": "listed",
        "tasks.seconds_left": "remaining_s",
        "kept": "limits_kept",
        "broken": "limits_broken",
        "not_judged": "limits_not_judged",
        "nights.results": "rows",
        "nights.medians.*.results": "rows",
        "throughput.seconds": "elapsed_s",
    },
    "status --why": {"tasks.spectra": "spectrum_states"},
    "tasks show": {"flags": "flag_meanings", "options": "option_meanings"},
    "trials compare": {
        "summary": "summary_lines",
        "spectra": "compared",
        "measured": "with_result",
        "flags": "flag_changes",
        "columns": "column_changes",
        "promoted": "is_promoted",
        "output": "path",
        "elapsed": "elapsed_s",
    },
    "trials list": {"trials.name": "trial", "trials.promoted": "promoted_at"}
    | {"trials.rolled_back": "rolled_back_at"},
    "trials promote": {"since": "made_since"},
    "trials rollback": {"since": "made_since"},
}

_WEIGHTS = "weights(name sha256)"
_SUM = "processed measured rederived no_result bad warn"
_ENDED = "outcome exit_code error"
_INGEST = """
        seen skipped unreadable spectra_new spectra_updated spectra_unchanged sources_new
        sources_updated sources_unchanged catalog_matched catalog_unmatched catalog_duplicate
        values_withdrawn
    """
_SWAP = "trial swapped moved made_since left lost pending"
_STATUS = """
        task version at error spectra done pending withheld bad warn flags notes(name rows text)
        no_result_reasons withheld_reasons in_hand workers(run_pk host pid started worker_pk state
        in_hand oldest_s) suspects(waiting in_hand most_deaths listed(spectrum_pk deaths since
        worker_pk)) spectra_per_s remaining_s runs(run_pk host pid started finished outcome
        processed measured rederived no_result working)
    """

#: Of each command, its keys; in parentheses those of the objects that a key holds.
PRINTED = {
    "compare": "results kinds(kind stars measured good scatter_of_all scatter bias within_1 beyond_3)",
    "config show": "settings settings_file",
    "create": f"""
        path format bytes column_count spectra stars good clean bad warn flags at mixed {_WEIGHTS} elapsed_s
    """,
    "distance": f"{_WEIGHTS} version n_draws seed weights_from results",
    "doctor": "findings(check level said remedy exit_code) exit_code",
    "explain": """
        column value bits(bit name meaning flag_warn flag_bad not_good not_clean) summaries
        flag_warn flag_bad
    """,
    "fetch": f"files there fetched lacking incomplete bytes ingest({_INGEST}) error",
    "fetch --dry-run": "missing",
    "ingest apstar, allstar, mwmstar": _INGEST,
    "ingest astra": f"{_INGEST} modified_until",
    "ingest astra --dry-run": "database spectra",
    "ingest catalog": """
        sources_new sources_updated sources_unchanged catalog_matched catalog_unmatched
        catalog_duplicate values_withdrawn hdu dry_run matched_by values_changed examples(star name
        old new) columns_used(column name unit factor values)
    """,
    "init": "database applied applied_of tables_made columns_added errors roles exit_code",
    "init --plan": """
        database version parts(name package steps(sql tables lock blocks estimated_s) rows_become
        filled_by error corrected estimated_s) effects(task pending stale kept earlier)
        unknown_until worker_count errors estimated_s
    """,
    "models compare": """
        first second spectra distances
    """,
    "models list": """
        models_dir models(name path place format bytes sha256 range error chosen_by hidden_by
        earlier_default) error
    """,
    "models show": """
        name sha256 path format bytes chosen_by earlier_default parameters labels_std range
        widens_errors components cost_of_a_detector calibration_nodes details use
    """,
    "report": """
        task path bytes spectra stars good clean warn bad flags weights_used(name sha256) elapsed_s pages
    """,
    "run": f"""
        task v_astra run_pk {_SUM} fill filled flags withheld withheld_reasons kept pending
        elapsed_s spectra_per_s weights(name sha256 range) seed {_ENDED}
    """,
    "srun": f"""
        task v_astra job nodes procs logs options command pending_before {_SUM} array_tasks(index
        state exit_code) elapsed_s {_ENDED}
    """,
    "status": f"tasks({_STATUS}) packages_not_installed locks",
    "status --check": f"""
        tasks({_STATUS}) limits_broken limits_not_judged limits_kept nights(task telescope night
        rows bad no_result medians) throughput(task night spectra elapsed_s spectra_per_s)
        oldest_pending(task telescope pending since age_s)
    """,
    "status --why": "tasks(task version star at error sources spectrum_states of_other_models)",
    "tasks list": "tasks(task summary spectrum_models table error)",
    "tasks show": "task summary spectrum_models table columns flag_meanings option_meanings fills",
    "trials compare": """
        summary_lines task trial is_promoted compared(pairs only_production only_trial
        other_version) with_result(both only_production only_trial neither) made_with flag_changes
        column_changes distances path elapsed_s
    """,
    "trials list": """
        trials(trial task state table ebv_from created made_by promoted_at rolled_back_at rows
        pending error weights_used(name sha256))
    """,
    "trials promote": _SWAP,
    "trials rollback": _SWAP,
}

#: What each key means, wherever it stands. An object "by" something has names of such things as its keys.
MEANINGS = {
    "age_s": "How long ago that was [s]",
    "applied": "The migrations that were applied",
    "applied_of": "Those of other packages, by package",
    "array_tasks": "The tasks of the job array",
    "at": "The moment of the database that the numbers are of (UTC)",
    "bad": "Results with flag_bad",
    "beyond_3": "Share that is off by more than 3 sigma",
    "bias": "Median of distance / true distance - 1",
    "bit": "Number of the bit",
    "bits": "The bits that are set",
    "blocks": "Who waits for its lock",
    "both": "Spectra of which both have one",
    "bytes": "Size of the files",
    "calibration_nodes": "Nodes of the calibration by luminosity and S/N; null: not calibrated",
    "catalog_duplicate": "Rows of the catalogue about a star that another row is about",
    "catalog_matched": "Rows of the catalogue that a star was found for",
    "catalog_unmatched": "Rows of the catalogue that no star was found for",
    "check": "What was checked",
    "chosen_by": "Why the next run takes these weights; null: it takes others",
    "clean": "Results that are fit for single stars; null: the task has no such rule",
    "column": "Name of a column",
    "column_changes": "How values differ, by column",
    "column_count": "Columns of the file",
    "columns": "What the columns mean, by column",
    "columns_added": "The columns that were added",
    "columns_used": "The columns of the file that were understood",
    "command": "The command line of Slurm",
    "compared": "Spectra by where they have a row",
    "components": "Components of the spectra that it takes for usual",
    "corrected": "Columns in which no wrong value stays, by table",
    "cost_of_a_detector": "What a lost detector adds to the relative error, by detector",
    "created": "When it was made (UTC)",
    "database": "The database, without its password",
    "deaths": "Workers that died while they held it alone",
    "details": "What its maker noted",
    "distances": "How distances differ, in parts of the stars, by Gaia, and the largest changes",
    "done": "Spectra with a result row",
    "dry_run": "Whether nothing was written",
    "earlier": "Rows of earlier versions, which stay",
    "earlier_default": "Whether it was the default once",
    "ebv_from": "Where the E(B-V) of a trial comes from; null: from its stars",
    "effects": "What becomes of the rows of each task",
    "elapsed_s": "How long it took [s]",
    "error": "What went wrong, or why it cannot be used; null: nothing",
    "errors": "What went wrong with packages and tasks, a line for each",
    "estimated_s": "About how long it takes [s]; null: not known",
    "examples": "Some of the values that change",
    "exit_code": "What the process, or a process, ends with",
    "factor": "What values are multiplied by",
    "fetched": "Files that were fetched",
    "first": "The first model",
    "files": "Files that were asked for",
    "fill": "What was filled, as --fill names it; null: a run that measures",
    "filled": "Rows that were filled",
    "filled_by": "How old rows get values in new columns",
    "fills": "The columns that --fill fills, by its names",
    "findings": "One for each thing that was looked at",
    "finished": "When it ended (UTC); null: it did not, or it was killed",
    "flag_bad": "Whether a row with it is to be discarded",
    "flag_changes": "Spectra with a flag in one or both, by flag",
    "flag_meanings": "What the flags mean, by flag",
    "flag_warn": "Whether a row with it is to be looked at twice",
    "flags": "Results with each flag, by flag",
    "format": "Format of the file",
    "good": "Results that are good; null: the task has no such rule",
    "hdu": "The table of the file that was read",
    "hidden_by": "The model that has its name and is taken first",
    "host": "Machine of a run or a worker",
    "in_hand": "Spectra that workers hold",
    "incomplete": "Files that came incomplete",
    "index": "Number in the array",
    "ingest": "What registering the files changed",
    "is_promoted": "Whether the trial is in the place of production",
    "job": "Number of the job at Slurm",
    "kept": "Rows that stayed as they were",
    "kind": "Kind of star",
    "kinds": "The same in numbers, for each kind of star",
    "labels_std": "What the outputs of the network are multiplied by [mas]",
    "lacking": "Files that the archive does not have",
    "left": "Results of production that stayed, of whose spectra the trial has nothing",
    "level": "ok, warn or fail",
    "limits_broken": "The limits that are broken, a line for each",
    "limits_kept": "What is within the limits, a line for each",
    "limits_not_judged": "What says too little to be judged, a line for each",
    "listed": "Some of them",
    "lock": "The lock that it takes",
    "locks": "Who waits for whose lock, and who has had one for long, a line for each",
    "logs": "Folder of logs",
    "lost": "Results that were replaced by rows without one",
    "made_by": "Who made it",
    "made_since": "Of those that moved back, the ones made since the promotion",
    "made_with": "Versions, weights and options, by side (production and trial)",
    "matched_by": "Rows that were matched, by what: an identifier or position",
    "meaning": "What it means",
    "measured": "Spectra with a distance, or what else the task measures",
    "medians": "Median and number of rows, by what is watched",
    "missing": "Paths of files that are not there",
    "mixed": "Whether results are of several weights, options or versions",
    "models": "The models that there are",
    "models_dir": "Folder of your own models",
    "modified_until": "Up to when the other database was read: for the next --since",
    "most_deaths": "After so many deaths a spectrum gets a row without a result",
    "moved": "Results that moved to where there was none",
    "n_draws": "Monte Carlo dropout draws of each spectrum",
    "name": "Its name; in a column of a file, the name that it has here",
    "neither": "Spectra of which neither has one",
    "new": "The value then",
    "night": "The night, noon to noon UTC, by its first day",
    "nights": "The numbers of each night and telescope",
    "no_result": "Spectra that could not be read or used",
    "no_result_reasons": "How often, by reason",
    "nodes": "Tasks of the job array",
    "not_clean": "Whether a distance with it is not clean",
    "not_good": "Whether a distance with it is not good",
    "notes": "What a task says of its results",
    "of_other_models": "Spectra of the star that the task does not take",
    "old": "The value before",
    "oldest_pending": "What has been pending longest at each telescope",
    "oldest_s": "How long it has held its chunk [s]",
    "only_production": "Spectra of which only production has one",
    "only_trial": "Spectra of which only the trial has one",
    "option_meanings": "What the options of the task mean, by option",
    "options": "Value and origin of the options of Slurm, by option",
    "other_version": "Spectra with rows of other versions",
    "outcome": "done, nothing_pending, dry_run, submitted, stopped or failed",
    "package": "The package that brings it; null: this one",
    "packages_not_installed": "Packages with tables here that are not installed",
    "pairs": "Spectra with a row in both",
    "parameters": "Numbers that were trained",
    "parts": "What would be done, in its order",
    "pages": "How many pages of single stars were written beside",
    "path": "The file",
    "pending": "Spectra that wait; null: not counted",
    "pending_before": "Spectra that waited at the start",
    "pid": "Number of the process",
    "place": "Whose model it is: of the package or your own",
    "processed": "Spectra that were dealt with: measured + no_result",
    "procs": "Processes of each task",
    "promoted_at": "When it took the place of production (UTC)",
    "range": "Range of validity",
    "rederived": "Results derived again without reading a spectrum",
    "remaining_s": "How long it will take at the present rate [s]; null: not known",
    "remedy": "What to do about it",
    "results": "One row for each spectrum, by column",
    "roles": "The roles that were made",
    "rolled_back_at": "When production had its own results back (UTC)",
    "rows": "Rows of results",
    "rows_become": "What it does to rows",
    "run_pk": "Key of the run in task_run; null: there was none",
    "runs": "The last runs",
    "said": "What was found",
    "scatter": "Median of |distance / true distance - 1| of unflagged stars",
    "scatter_of_all": "The same of all stars",
    "second": "The model that is compared with it",
    "seed": "Seed of the dropout masks",
    "seen": "Files or rows that were read",
    "settings": "Value and origin of the settings, by setting",
    "settings_file": "The file of the settings, whether or not it is there",
    "sha256": "Checksum of the weights",
    "since": "Since when (UTC)",
    "skipped": "Files or rows that were left out",
    "sources": "The rows of the star, by column",
    "sources_new": "New stars",
    "sources_unchanged": "Stars that were there as they are",
    "sources_updated": "Stars with a changed value",
    "spectra": "Number of spectra",
    "spectra_new": "New spectra",
    "spectra_per_s": "Spectra per second",
    "spectra_unchanged": "Spectra that were there as they are",
    "spectra_updated": "Spectra with a changed value",
    "spectrum_models": "The models of spectra that it takes",
    "spectrum_pk": "Key of the spectrum",
    "spectrum_states": "State of each spectrum, with reasons and its row",
    "sql": "The statement",
    "stale": "Rows that the next run makes again",
    "star": "The star, as it was asked for or as it is named",
    "stars": "Number of stars",
    "started": "When it began (UTC)",
    "state": "How it stands, in a word",
    "steps": "Its statements; null: not known",
    "summaries": "What flag_bad and flag_warn mean where they were asked for, by name",
    "summary": "What it does, in a line",
    "summary_lines": "The comparison in sentences",
    "suspects": "Spectra during which workers died",
    "swapped": "Results that took the places of others",
    "table": "The table of the results",
    "tables": "The tables that it locks",
    "tables_made": "The tables that were made",
    "task": "Name of the task; of a trial, TASK@trial-NAME",
    "tasks": "One object for each task",
    "telescope": "The telescope",
    "text": "The note, as a sentence",
    "there": "Files that were there already",
    "throughput": "How fast the runs of each night were",
    "trial": "Name of the trial",
    "trials": "One object for each trial",
    "unit": "Unit of the column",
    "unknown_until": "How old rows get values in a new column, by column",
    "unreadable": "Files that cannot be read",
    "use": "A command line that uses it",
    "v_astra": "Version of Astra as the tables have it: major * 10^6 + minor * 10^3 + patch",
    "value": "The value",
    "values": "Values of the column that are not blank",
    "values_changed": "Values that change",
    "values_withdrawn": "Values that their own source no longer gives",
    "version": "Version of Astra",
    "waiting": "Of them, those that no worker holds",
    "warn": "Results with flag_warn",
    "weights": "The weights",
    "weights_from": "Which error of the spectrum weighted_parallax takes: total or model",
    "weights_used": "All weights that the results are from",
    "widens_errors": "Whether it widens the errors of spectra unlike those it was trained on",
    "with_result": "Spectra by where they have a result",
    "withheld": "Spectra whose files could not be read, so that the next run tries them again",
    "withheld_reasons": "How often, by reason",
    "within_1": "Share that is off by less than 1 sigma",
    "worker_count": "Workers that hold spectra",
    "worker_pk": "Key of the worker",
    "workers": "The workers that are known",
    "working": "Whether a worker of it lives",
}

#: Keys whose objects have names or columns as their keys, which no table of keys can list.
OPEN = {key for key, meaning in MEANINGS.items() if ", by " in meaning} | {
    "details",
    "distances",
    "made_with",
}
OPEN |= {"of_other_models", "spectrum_states"}


def keys_of(command: str) -> Iterator[str]:
    """The keys that a command prints; one of an object within another follows that, and a dot."""
    path: list[str] = []
    last = ""
    for word in re.findall(r"[\w]+|[()]", PRINTED[command]):
        if word == "(":
            path.append(last)
        elif word == ")":
            path.pop()
        else:
            last = word
            yield ".".join([*path, word])


def with_schema(content: Mapping[str, Any], command: str | None) -> dict[str, Any]:
    """The object of a command as ``--json`` prints it: with the schema, and under names old and new.

    Args:
        content: The object, under old names where there are such.
        command: The command, as ``BEFORE`` names it.
    """
    return {"schema": SCHEMA} | _renamed(content, BEFORE.get(command or "", {}), ())


def _renamed(content: Any, names: Mapping[str, str], path: tuple[str, ...]) -> Any:
    if isinstance(content, (list, tuple)):
        return [_renamed(each, names, path) for each in content]
    return dict(_both(content, names, path)) if isinstance(content, Mapping) else content


def _both(
    content: Mapping[str, Any], names: Mapping[str, str], path: tuple[str, ...]
) -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        within = (*path, str(key))
        if path[-1:] == ("medians",):
            within = (*path, "*")
        value = _renamed(value, names, within)
        yield key, value
        if (new := names.get(".".join(within))) is not None:
            yield new, value
