"""Why the spectra of a star are pending, stale, done or withheld: what ``astra status --why`` says.

The states come from the queries of the run itself, asked of these spectra alone; all else explains them.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import peewee

import astra
from astra.database.connection import database, now
from astra.errors import ConfigError
from astra.models import APOGEE, PipelineOutputModel, Source
from astra.models.base import BaseModel, spectra_of
from astra.models.fields import flags_of, kind_of
from astra.models.pipeline import TaskClaim, TaskRun, TaskWithheld
from astra.running.claims import POISON_DEATHS
from astra.schema.packages import check_task
from astra.status.overview import workers_of
from astra.status.text import STATES
from astra.system.version import V_ASTRA_MAJOR_MINOR, version_integer_to_string
from astra.tasks.conditions import measured_fields
from astra.tasks.contract import Task
from astra.tasks.inputs import has_other_source, source_changed, spectrum_changed
from astra.tasks.pending import Selection, joined, pending_query, stale_query
from astra.tasks.pending import with_sources as spectra_with_sources
from astra.tasks.star_names import sources_by_name, sources_of
from astra.tasks.withheld import noted_among

#: The states of a spectrum: the first two are what a run takes, and `--dry-run` counts.
PENDING, STALE, WITHHELD, NO_RESULT, DONE = "pending", "stale", "withheld", "no result", "done"

_OF_A_SPECTRUM = ("product_id", "release", "telescope", "snr", "modified")
_OF_A_STAR = (
    *("sdss_id", "sdss4_apogee_id"),
    *("k_mag", "e_k_mag", "ebv", "e_ebv", "plx", "e_plx", "gaia_release"),
)


@dataclass(frozen=True)
class _Case:
    """All that is known of one spectrum.

    Attributes:
        task: The task.
        spectrum: The spectrum, with its source.
        is_pending, is_stale, is_withheld: What the queries of a run say.
        changes: What tells them so, by the names of ``_CHANGES``.
        rows: Its results by their minor versions.
        claim: The claim on it, or ``None``.
        note: What is noted of its file, whether or not that still holds, or ``None``.
        workers: The workers of the task by their keys, as ``astra status`` has them.
    """

    task: Task
    spectrum: Any
    is_pending: bool
    is_stale: bool
    is_withheld: bool
    changes: Mapping[str, bool]
    rows: Mapping[int, PipelineOutputModel] = field(default_factory=dict)
    claim: TaskClaim | None = None
    note: TaskWithheld | None = None
    workers: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def row(self) -> PipelineOutputModel | None:
        """Its result under this version."""
        return self.rows.get(V_ASTRA_MAJOR_MINOR)

    @property
    def state(self) -> str:
        """One of the states."""
        if self.is_pending:
            return PENDING
        if self.is_stale:
            return STALE
        if self.is_withheld:
            return WITHHELD
        return NO_RESULT if getattr(self.row, "flag_no_result", False) else DONE


def why(task: Task, star: str) -> dict[str, Any]:
    """Explain the states of all spectra of a star.

    Args:
        task: The task.
        star: An sdss_id (digits) or an APOGEE id; also one that only a spectrum without a source carries.

    Returns:
        The object that ``--json`` prints.

    Raises:
        ConfigError: A table of the task is missing, or cannot be read.
        UsageError: There is no such star in the database.
    """
    check_task(task)
    sources = sources_by_name([star]).get(star, [])
    cases = [case for model in task.spectrum_models for case in _cases(task, model, star, sources)]
    others = list(_others(task, star, sources))
    if not (sources or cases or others):
        sources_of([star])  # which says that there is none
    stars = Source.select().where(Source.pk << sources).order_by(Source.pk)
    return {
        "task": task.key,
        "version": astra.__version__,
        "star": star,
        "at": now(database),
        "sources": [{"source_pk": each.pk, **_plain(each, (*_OF_A_STAR, "modified"))} for each in stars],
        "spectra": [_explained(case) for case in cases],
        "of_other_models": others,
    }


def why_of_all(tasks: Mapping[str, Task | ConfigError], star: str) -> list[dict[str, Any]]:
    """The same for several tasks, or the error that prevents it, as ``status_of_all`` has it."""
    found = []
    for name, task in tasks.items():
        try:
            if isinstance(task, ConfigError):
                raise task
            found.append(why(task, star))
        except ConfigError as error:
            found.append(
                {"task": name, "version": astra.__version__, "at": now(database), "error": str(error)}
            )
    return found


# > What is asked of the database


def _cases(task: Task, model: type[BaseModel], star: str, sources: list[int]) -> Iterator[_Case]:
    mine = _belongs(model.source, star, sources)
    spectra = list(spectra_with_sources(model).where(mine).order_by(model.spectrum_pk))
    keys = [spectrum.spectrum_pk for spectrum in spectra]
    selection = Selection(task, models=(model,))
    pending, stale = (_among(find(selection), keys) for find in (pending_query, stale_query))
    withheld, changes = noted_among(task, keys), _changes(selection, keys)
    rows: dict[int, dict[int, PipelineOutputModel]] = {}
    results = task.output_model
    for row in results.select().where(results.spectrum_pk << keys).order_by(results.v_astra_major_minor):
        rows.setdefault(row.spectrum_pk, {})[row.v_astra_major_minor] = row
    claims, notes = (_of_keys(table, task, keys) for table in (TaskClaim, TaskWithheld))
    workers = {worker["worker_pk"]: worker for worker in workers_of(task.key, now(database))}
    for spectrum in spectra:
        pk = spectrum.spectrum_pk
        states = (pk in pending, pk in stale, pk in withheld)
        known = (rows.get(pk, {}), claims.get(pk), notes.get(pk))
        yield _Case(task, spectrum, *states, changes[pk], *known, workers)


def _belongs(key: peewee.ForeignKeyField, star: str, sources: list[int]) -> peewee.Expression:
    """Whether a spectrum is of some sources, or has none and carries the name of the star itself."""
    model, mine = key.model, key << sources
    return mine | (key.is_null() & (model.obj == star)) if model in APOGEE else mine


def _among(query: peewee.ModelSelect | None, keys: list[int]) -> set[int]:
    if query is None:
        return set()
    return {pk for (pk,) in query.where(query.model.spectrum_pk << keys).tuples()}


def _changes(selection: Selection, keys: list[int]) -> dict[int, dict[str, bool]]:
    """Which inputs of each spectrum have changed, by the conditions of the run; of no use without a row."""
    spectra, results = selection.spectra, selection.task.output_model
    rederivation = selection.task.rederivation
    conditions = {
        "spectrum": spectrum_changed(results, spectra),
        "star": source_changed(results, spectra),
        "other_star": has_other_source(results, spectra),
        "by_hand": peewee.SQL("1 = 0") if rederivation is None else rederivation.also_stale(),
    }
    query = (
        joined(selection)
        .where(spectra.spectrum_pk << keys)
        .columns(spectra.spectrum_pk, *conditions.values())
    )
    return {pk: dict(zip(conditions, map(bool, values), strict=True)) for pk, *values in query.tuples()}


def _of_keys(table: type[BaseModel], task: Task, keys: list[int]) -> dict[int, Any]:
    rows = table.select().where(table.task == task.key, table.spectrum_pk << keys)
    return {row.spectrum_pk: row for row in rows}


def _others(task: Task, star: str, sources: list[int]) -> Iterator[dict[str, Any]]:
    """The spectra of the star that the task does not take."""
    for key, model in spectra_of(Source):
        if model not in task.spectrum_models:
            mine = _belongs(key, star, sources)
            for spectrum in model.select().where(mine).order_by(model.spectrum_pk):
                known = _plain(spectrum, _OF_A_SPECTRUM)
                yield {"spectrum_pk": spectrum.spectrum_pk, "model": model.__name__, **known}


# > What is said of one spectrum


def _explained(case: _Case) -> dict[str, Any]:
    spectrum = case.spectrum
    return {
        "spectrum_pk": spectrum.spectrum_pk,
        "model": type(spectrum).__name__,
        **_plain(spectrum, _OF_A_SPECTRUM),
        "source_pk": spectrum.source_pk,
        "state": case.state,
        "reasons": list(_reasons(case)),
        "row": None if case.row is None else _row(case.row),
        "rows_of_other_versions": [_row(row) for version, row in case.rows.items() if row is not case.row],
    }


def _reasons(case: _Case) -> Iterator[str]:
    """Sentences, the one that decides first."""
    if case.is_pending:
        yield from _why_pending(case)
    elif case.is_stale:
        yield from _why_stale(case)
    elif not case.is_withheld:
        yield from _why_done(case)
    yield from _of_file(case)
    yield from _of_claim(case)
    if case.spectrum.source_pk is None:
        yield "it has no star in the database: magnitude and reddening count as absent"
        yield "a run that names the star leaves it out"


def _why_pending(case: _Case) -> Iterator[str]:
    row, spectrum = case.row, case.spectrum
    if row is None:
        tried = "" if case.rows or case.note or case.claim else ": it was never tried"
        yield f"it has no row under version {_minor(V_ASTRA_MAJOR_MINOR)}{tried}"
        for version, older in case.rows.items():
            yield f"its row under version {_minor(version)} ({_by(older)}) does not count for this one"
        return
    if case.changes["spectrum"]:
        yield _changed(row, "spectrum", spectrum.modified)
        yield "what was changed of it is not on record"
    else:
        yield _of_star(case)
        yield f"{case.task.key} cannot derive a row again, so that the spectrum is taken anew"


def _why_stale(case: _Case) -> Iterator[str]:
    yield _of_star(case)
    differences = list(_differences(case))
    then = ", ".join(differences) if differences else "no value of it changes"
    yield f"the next run derives the row again without opening the file: {then}"


def _why_done(case: _Case) -> Iterator[str]:
    known = "" if case.row.spectrum_modified else " (by the time: it is from before their states were kept)"
    yield f"its spectrum and its star are as they were when its row was made{known}"
    if case.state == NO_RESULT:
        reason = getattr(case.row, "no_result_reason", None) or "no reason is on record"
        yield f"there is no result: {reason}"
        yield "`--retry no_result` takes it again"


def _of_file(case: _Case) -> Iterator[str]:
    if case.note is None:
        return
    tried = f"last tried {_time(case.note.tried)}"
    if case.is_withheld:
        yield f"the system does not give its file: {case.note.reason}; {tried}, and every run tries it again"
    else:
        yield f"before it was changed, the system did not give its file: {case.note.reason}; {tried}"


def _of_claim(case: _Case) -> Iterator[str]:
    if (claim := case.claim) is None:
        return
    died = f"{claim.attempts} of {POISON_DEATHS} workers died that had it alone"
    if claim.worker_pk is not None:
        worker = case.workers.get(claim.worker_pk)
        where = " on {host}, process {pid}, run {run_pk}"
        place = "" if worker is None else where.format(**worker)
        alone = f", alone: {died}" if claim.suspect else ""
        state = STATES.get(worker["state"], "") if worker else ""
        yield f"worker {claim.worker_pk}{place} has it in hand since {_time(claim.since)}{alone}{state}"
    elif claim.attempts >= POISON_DEATHS:
        yield f"no worker takes it any more: {died}"
    else:
        waits = f"it waits since {_time(claim.since)} to be taken alone"
        yield f"{waits}, because a worker died that had it in hand; {died}"


def _of_star(case: _Case) -> str:
    """What is not any more as it was when the row was made, though the spectrum is."""
    row, spectrum = case.row, case.spectrum
    if case.changes["other_star"]:
        keys = (row.source_pk, spectrum.source_pk)
        was, now_is = ("no source" if pk is None else f"source {pk}" for pk in keys)
        return f"its row is of {was}, and the spectrum of {now_is}"
    if case.changes["star"]:
        return _changed(row, "star", spectrum.source and spectrum.source.modified)
    return (
        "the row is not what its star gives now, though `modified` did not move: values were changed by "
        "hand, or a version of before wrote it"
    )


def _changed(row: PipelineOutputModel, what: str, modified: datetime | None) -> str:
    """That a spectrum or a star has changed since a row was made."""
    known, read = row.spectrum_modified, row.inputs_read
    if what == "star":
        known, read = row.source_modified, row.source_read
    changed = f"the {what} was changed at {_precisely(modified)}" if modified else f"there is no {what}"
    if known is not None:
        return f"{changed}; its row is from the state of {_precisely(known)}"
    when = "at an unknown time" if read is None else f"at {_time(read)}"
    return f"{changed}; its row does not say from which state, but that was read {when}"


def _differences(case: _Case) -> Iterator[str]:
    """What a run would change of a stale row, by its own code, on a copy that is not saved."""
    row, spectrum = case.row, case.spectrum
    again = type(row).get_by_id(row.task_pk)
    again.source_pk = spectrum.source_pk
    case.task.rederivation.apply([again], [spectrum.source])
    for name, (before, after) in _values(row, again).items():
        if before != after:
            yield f"{name} {_shown(before)} → {_shown(after)}"
    flags = flags_of(type(row))
    for name in flags:
        if getattr(row, name) != getattr(again, name):
            yield f"{name} {'set' if getattr(again, name) else 'not set any more'}"


# > Rows and their values


def _row(row: PipelineOutputModel) -> dict[str, Any]:
    run = TaskRun.get_or_none(TaskRun.pk == row.run_pk)
    origin = ("weights_name", "weights_sha256", "seed", "n_draws", "precision", "options")
    flags = {name: flag.help_text or "" for name, flag in flags_of(type(row)).items() if getattr(row, name)}
    times = ("inputs_read", "source_read", "spectrum_modified", "source_modified", "modified")
    return {
        "run_pk": row.run_pk,
        "version": version_integer_to_string(row.v_astra),
        **{name: getattr(row, name) for name in times},
        **{name: getattr(run, name, None) for name in origin},
        "flags": flags,
        "values": {name: value for name, (value,) in _values(row).items()},
    }


def _values(*rows: PipelineOutputModel) -> dict[str, tuple[Any, ...]]:
    """What was measured, by name, in each of some rows; ``None`` is absent, as in the database."""
    kinds = {each.name: kind_of(each) for each in measured_fields(type(rows[0]))}
    left_out = {"no_result_reason", *(flag.field.name for flag in flags_of(type(rows[0])).values())}
    names = [name for name, kind in kinds.items() if kind and name not in left_out]
    return {name: tuple(_absent(getattr(row, name)) for row in rows) for name in names}


def _plain(row: BaseModel, names: Iterable[str]) -> dict[str, Any]:
    return {name: _absent(getattr(row, name)) for name in names if hasattr(row, name)}


def _absent(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


# > As text


def paragraphs(found: Mapping[str, Any]) -> list[str]:
    """The lines for a person."""
    if "error" in found:
        return [found["error"]]
    lines = [f"{found['task']} (version {found['version']}): {found['star']}"]
    for star in found["sources"]:
        named = ", ".join(f"{name} {_shown(star[name])}" for name in _OF_A_STAR if star[name] is not None)
        lines.append(f"  source {star['source_pk']}: {named}; changed {_time(star['modified'])}")
    for each in found["spectra"]:
        lines += [f"  {_name_of(each)}", *(f"    {line}" for line in _said(each))]
    for each in found["of_other_models"]:
        lines.append(f"  {_name_of(each)}")
        lines.append(f"    not for this task: it takes no {each['model']}")
    if not (found["spectra"] or found["of_other_models"]):
        lines.append("  no spectra of it are registered")
    return lines


def _name_of(spectrum: Mapping[str, Any]) -> str:
    snr = spectrum.get("snr")
    facts = [spectrum.get("release"), spectrum.get("telescope"), None if snr is None else f"S/N {snr:.4g}"]
    name = spectrum.get("product_id") or spectrum["model"]
    return ", ".join([f"{name} (spectrum {spectrum['spectrum_pk']})", *filter(None, facts)])


def _said(spectrum: Mapping[str, Any]) -> Iterator[str]:
    first, *others = spectrum["reasons"]
    yield f"{spectrum['state']}: {first}"
    yield from others
    rows = [("row", spectrum["row"])] if spectrum["row"] else []
    for word, row in rows + [("row of another version", row) for row in spectrum["rows_of_other_versions"]]:
        yield f"{word}: {_made_by(row)}"
        if word == "row":
            values = row["values"].items()
            shown = [
                f"{name} {_shown(value)}" + _error(row["values"].get(f"e_{name}"))
                for name, value in values
                if value is not None and not name.startswith("e_")
            ]
            if shown:
                yield f"values: {', '.join(shown)}"
            yield from (f"{name}: {text}" for name, text in row["flags"].items())


def _made_by(row: Mapping[str, Any]) -> str:
    weights = row["weights_sha256"] and f"weights {row['weights_name']} (sha256 {row['weights_sha256'][:12]})"
    named = (("seed", row["seed"]), ("draws", row["n_draws"]))
    facts = [
        "of no run" if row["run_pk"] is None else f"of run {row['run_pk']}",
        row["inputs_read"] and f"inputs read {_time(row['inputs_read'])}",
        weights,
        *(f"{name} {value}" for name, value in named if value is not None),
        f"version {row['version']}",
    ]
    return ", ".join(filter(None, facts))


def _error(value: Any) -> str:
    return "" if value is None else f" ± {_shown(value)}"


def _shown(value: Any) -> str:
    if value is None:
        return "absent"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _by(row: PipelineOutputModel) -> str:
    return "of no run" if row.run_pk is None else f"run {row.run_pk}"


def _minor(version: int) -> str:
    return "{}.{}".format(*divmod(version, 1000))


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _precisely(moment: datetime) -> str:
    """A time with the digits that tell two states apart."""
    return f"{moment.isoformat(sep=' ', timespec='milliseconds')} UTC"
