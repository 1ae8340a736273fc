"""What a task is: a typed generator that turns spectra into rows of results, and what it knows beside that.

@task
def my_task(spectra: Iterable[SomeSpectrum], *, option: int = 1) -> Iterator[SomeResult]: ...

A task whose spectra are ``Iterable[SomeSpectrum | AnotherSpectrum]`` takes those of several models, in this
order; a chunk has spectra of one of them.
"""

import collections
import collections.abc
import functools
import inspect
import json
import logging
import re
import time
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import peewee

from astra.errors import AstraError, MissingSpectrum, SpectrumError, UsageError, nearest
from astra.models.base import BaseModel
from astra.models.fields import flags_of
from astra.models.pipeline import FlaggedOutputModel, PipelineOutputModel
from astra.tasks.options import declared_options

# Of the names and units of what is watched.
_IN_METRICS = re.compile(r"[a-z][a-z0-9_]*")
# What is counted of rows with flags.
_OF_FLAGGED = {"flag_no_result", "flag_bad", "flag_warn"}
log = logging.getLogger("astra")


@dataclass(frozen=True)
class Provenance:
    """What the numbers of a run depend on, apart from the spectra; rows that differ in it do not mix.

    The origin, the range and the path say how the weights were chosen, what they are good for and where they
    are; no number depends on them. The path goes on record with the arguments of the run. ``options`` are
    those that change numbers and have no place of their own here, as JSON; the task itself fills them in.
    """

    weights_name: str | None = None
    weights_sha256: str | None = None
    seed: int | None = None
    n_draws: int | None = None
    precision: str | None = None
    weights_origin: str | None = None
    weights_range: str | None = None
    options: str | None = None
    weights_path: str | None = None


@dataclass(frozen=True)
class GoingOn:
    """With what a run goes on where its caller leaves it open: as the rows so far were made.

    Attributes:
        options: Further options for the run, by name, e.g. the path of the weights of the rows.
        note: What is said once, e.g. that the default is another one by now.
    """

    options: Mapping[str, Any]
    note: str | None = None


@dataclass(frozen=True)
class Rederivation:
    """How a task brings its rows up to date when only the source changed, without reading a spectrum.

    Attributes:
        apply: Brings rows up to date from their sources, any of which may be ``None``; among the rows are
            those without a result.
        also_stale: Gives a condition on a join of the results with ``Source`` and the spectra's table, under
            which a row is to be derived again although no version of its source says so.
    """

    apply: Callable[[list[Any], list[Any]], None]
    also_stale: Callable[[], peewee.Node] = lambda: peewee.SQL("1 = 0")


@dataclass(frozen=True)
class Fill:
    """How a task fills columns of rows that are there and lack them, without measuring a spectrum again.

    A row lacks them where all of them are NULL: it was made before the task had them. Of those that are
    derived, a row lacks any that is NULL, and gets it where it can be computed.

    Attributes:
        name: With which it is asked for.
        columns: The fields of the results that it fills.
        of_spectrum: Gives their values, in this order, for a spectrum whose file it reads; ``None`` takes
            those that the rederivation of the task computes from the row and its source.
    """

    name: str
    columns: tuple[str, ...]
    of_spectrum: Callable[[Any], Iterable[Any]] | None = None


@dataclass(frozen=True)
class Note:
    """What ``astra status`` says of some results of a task, where there are any.

    Attributes:
        name: Their name for programs.
        text: What is said; their number goes where ``{:,}`` stands.
        chosen: Gives a condition on the table of results.
    """

    name: str
    text: str
    chosen: Callable[[], peewee.Expression]


@dataclass(frozen=True)
class Watched:
    """A quantity of the results of a task whose median over a night is watched.

    Attributes:
        name: Its name in limits and, with the unit behind it, in the name of the metric.
        text: What it is.
        unit: In the plural, such as ``seconds``; empty for a ratio.
        value: Given the model of spectra, an expression over a join of the results with these.
    """

    name: str
    text: str
    unit: str
    value: Callable[[type[BaseModel]], peewee.Node]


@dataclass(frozen=True)
class OwnSection:
    """What ``astra report`` shows of the results of a task beside what it shows of every task.

    Attributes:
        title: The heading.
        make: Takes the results as arrays by column; gives texts and figures in their order.
    """

    title: str
    make: Callable[[Mapping[str, Any]], Iterable[Any]]


#: Keywords with which upstream Astra has rows written; a value of one says what happens here in any case.
_OF_UPSTREAM = {
    **dict.fromkeys(("batch_size", "write_frequency", "frequency", "result_frequency")),
    "write_to_database": False,
    "live": True,
    "re_raise_exceptions": True,
}


class Task:
    """A task: call it with spectra, and it yields one unsaved row for each, in order."""

    def __init__(self, function: Callable[..., Iterator[Any]], *, uses_source: bool = True) -> None:
        functools.update_wrapper(self, function)
        self.name, self.uses_source = function.__name__, uses_source
        self.key = self.name
        """By what runs, workers, claims and notes name the set of results: of a trial it has that, too."""
        self.spectrum_models, self.output_model = _models_of(function)
        self.options = declared_options(function)
        # Where no number depends on the source, nothing is derived; the row is to name it all the same.
        self.rederivation = None if uses_source else Rederivation(lambda rows, sources: None)
        self.fills: dict[str, Fill] = {}
        self.notes: list[Note] = []
        self.watched: dict[str, Watched] = {}
        self.sections: list[OwnSection] = []
        self.examinations: list[Callable[[], Iterable[tuple[str, ...]]]] = []
        self.identify: Callable[..., Provenance] = lambda **options: Provenance()
        """What the numbers of a run with these options would depend on; cheap, for it reads no tensors."""
        self.prepare: Callable[..., None] = lambda **options: None
        """Load what a run with these options needs, so that a wrong setting fails before any spectrum."""
        self.check: Callable[..., None] = lambda **options: self.prepare(**options)
        """Fail as ``prepare`` does, in a process that lets others compute, and so needs to load less."""
        self.go_on: Callable[..., GoingOn | None] | None = None
        """Say with what a run goes on, from the run that made the rows so far; nothing: as by default."""

    def __call__(self, spectra: Iterable[Any], **options: Any) -> Iterator[Any]:
        """Yield one row per spectrum; ``t_elapsed`` is filled in where the task left it empty.

        A spectrum that cannot be read, of which the function lets the error through, gets a row that says so,
        and the function is called again for those after it.

        Raises:
            TypeError: The task has no such option, or an option of upstream's asks for rows to be written; at
                once, not with the first row.
            UsageError: The value of an option has another type, or is outside its limits; likewise.
            AstraError: A spectrum cannot be read, and the model of results has no flag to say so.
        """
        for name in options.keys() & _OF_UPSTREAM.keys() - self.options.keys():
            if options.pop(name) is not _OF_UPSTREAM[name]:
                raise TypeError(
                    f"{self.name}({name}=…): a call yields rows and writes none; leave it out, and write by "
                    f"`astra run {self.name}`"
                )
        for name in options.keys() - self.options.keys():
            raise TypeError(
                f"{self.name}() has no option {name!r}; it has {', '.join(self.options) or 'none'}"
            )
        return self._answered(spectra, self.checked(options))

    def __reduce__(self) -> str:
        """Pickled like a function: by where it is defined."""
        return self.__wrapped__.__qualname__

    def __copy__(self) -> "Task":
        """Another object, whose attributes may be set: a trial has another key."""
        made = object.__new__(type(self))
        made.__dict__ |= self.__dict__
        return made

    def _answered(self, spectra: Iterable[Any], options: Mapping[str, Any]) -> Iterator[Any]:
        source = iter(spectra)
        unanswered: collections.deque[Any] = collections.deque()

        def handed_out() -> Iterator[Any]:
            for spectrum in source:
                unanswered.append(spectrum)
                yield spectrum

        while True:
            try:
                for row in self._timed(self.__wrapped__(handed_out(), **options)):
                    if unanswered:
                        unanswered.popleft()
                    yield row
                return
            except SpectrumError as error:
                if not unanswered:
                    raise
                if len(unanswered) == 1:
                    yield self._without_result(unanswered.pop(), error)
                    continue
            # Which of them it was is seen when each is alone.
            alone = [unanswered.popleft() for _ in range(len(unanswered))]
            for spectrum in alone:
                yield from self._answered([spectrum], options)

    def _without_result(self, spectrum: Any, error: SpectrumError) -> FlaggedOutputModel:
        if not issubclass(self.output_model, FlaggedOutputModel):
            raise AstraError(
                f"task {self.name}: spectrum {spectrum.spectrum_pk} cannot be read ({error}), and no flag "
                f"can say so: let {self.output_model.__name__} inherit from FlaggedOutputModel"
            ) from error
        log.warning("spectrum %s: %s", spectrum.spectrum_pk, error)
        row = self.output_model.from_spectrum(spectrum, flag_no_result=True, no_result_reason=str(error))
        row.file_lost = isinstance(error, MissingSpectrum)
        if self.rederivation is not None:
            self.rederivation.apply([row], [spectrum.source])
        return row

    def _timed(self, rows: Iterable[Any]) -> Iterator[Any]:
        last = time.perf_counter()
        for row in rows:
            if row.t_elapsed != row.t_elapsed:  # NaN
                row.t_elapsed = time.perf_counter() - last
            yield row
            last = time.perf_counter()

    def checked(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Options that were given, each in the type that the task declares.

        Raises:
            UsageError: There is no such option, or a value has another type or is outside its limits.
        """
        for name in options.keys() - self.options.keys():
            raise UsageError(f"task {self.name} has no option --{name.replace('_', '-')}")
        try:
            return {name: self.options[name].checked(value) for name, value in options.items()}
        except UsageError as error:
            raise UsageError(f"task {self.name}: {error}") from None

    def provenance(self, options: Mapping[str, Any]) -> Provenance:
        """What the numbers of a run with these options would depend on, defaults included.

        Raises:
            UsageError: There is no such option, or a value has another type or is outside its limits.
        """
        given = self.checked(options)
        found = self.identify(**given)
        known = {"weights": found.weights_sha256, "seed": found.seed, "n_draws": found.n_draws}
        values = {
            name: each.plain(given.get(name, each.default))
            for name, each in self.options.items()
            if each.declared.changes_numbers and known.get(name) is None
        }
        return replace(found, options=json.dumps(values, sort_keys=True))

    def options_of(self, record: str | None) -> dict[str, Any]:
        """The values of all options that change numbers, from what a run has recorded of them.

        Args:
            record: ``options`` of the run; what it does not hold counts as the default of now, so that rows
                stay as they are when a task gets a new option, or has runs from before options were recorded.
        """
        recorded = json.loads(record or "{}")
        changing = [each for each in self.options.values() if each.declared.changes_numbers]
        return {each.name: recorded.get(each.name, each.plain(each.default)) for each in changing}

    def identified_by(self, function: Callable[..., Provenance]) -> Callable[..., Provenance]:
        """Decorator: ``function(**options)`` returns the provenance of a run."""
        self.identify = function
        return function

    def prepared_by(self, function: Callable[..., None]) -> Callable[..., None]:
        """Decorator: ``function(**options)`` raises ``ConfigError`` if a run cannot work."""
        self.prepare = function
        return function

    def checked_by(self, function: Callable[..., None]) -> Callable[..., None]:
        """Decorator: ``function(**options)`` raises what ``prepare`` raises; without it, that is called."""
        self.check = function
        return function

    def continued_by(self, function: Callable[..., GoingOn | None]) -> Callable[..., GoingOn | None]:
        """Decorator: ``function(run, **options)`` says with what a run goes on where there are rows.

        ``run`` is the newest ``TaskRun`` that rows of this version are left of: its ``weights_name``,
        ``weights_sha256``, ``seed``, ``n_draws`` and ``arguments``. ``function`` returns ``None`` where the
        options say themselves what to take, and raises ``ConfigError`` where what made the rows is lost.
        """
        self.go_on = function
        return function

    def rederived_by(
        self,
        also_stale: Callable[[], peewee.Node] = Rederivation.also_stale,
        *,
        fills: Mapping[str, Iterable[str]] = types.MappingProxyType({}),
    ) -> Callable[[Callable], Callable]:
        """Decorator: ``function(rows, sources)`` brings rows up to date whose sources have changed.

        Args:
            also_stale: Gives a condition on further rows (see ``Rederivation``).
            fills: Columns that ``astra run --fill NAME`` fills from what the function computes, by that name.

        Raises:
            TypeError: The task says that it makes no use of sources, or the results have no such columns.
        """

        def register(apply: Callable[[list, list], None]) -> Callable[[list, list], None]:
            if not self.uses_source:
                raise TypeError(
                    f"task {self.name}: uses_source=False says that nothing is derived from a source"
                )
            self.rederivation = Rederivation(apply, also_stale)
            for name, columns in fills.items():
                self._add_fill(Fill(name, tuple(columns)))
            return apply

        return register

    def filled_by(self, name: str, *, columns: Iterable[str]) -> Callable[[Callable], Callable]:
        """Decorator: ``astra run --fill NAME`` fills these columns by ``function(spectrum)``.

        The function reads the file of the spectrum, and returns one value for each column; an error of the
        spectrum (``SpectrumError``) it lets through: the columns of this row then stay NULL.

        Raises:
            TypeError: The results have no such columns, or a row cannot lack them.
        """

        def register(of_spectrum: Callable[[Any], Iterable]) -> Callable[[Any], Iterable]:
            self._add_fill(Fill(name, tuple(columns), of_spectrum))
            return of_spectrum

        return register

    def _add_fill(self, fill: Fill) -> None:
        fields, results = self.output_model._meta.fields, self.output_model.__name__
        if fill.name in self.fills:
            raise TypeError(f"task {self.name} has two fills called {fill.name!r}")
        for name in fill.columns:
            if name not in fields or not fields[name].null:
                raise TypeError(
                    f"task {self.name}: fill {fill.name!r}: {results} has no column {name!r} that may be NULL"
                )
        self.fills[fill.name] = fill

    def fill(self, name: str) -> Fill:
        """The fill of a name.

        Raises:
            UsageError: There is none; it says which there are.
        """
        if not self.fills:
            raise UsageError(f"task {self.name} has no columns to fill: --fill {name}")
        if name not in self.fills:
            raise UsageError(f"task {self.name} has no --fill {name}{nearest(name, self.fills, 'it has')}")
        return self.fills[name]

    def noted_by(self, text: str) -> Callable[[Callable], Callable]:
        """Decorator: ``astra status`` says ``text`` of the results for which ``function()`` holds.

        The number of these results goes where ``{:,}`` stands; the name of the function is for ``--json``.
        """

        def register(chosen: Callable[[], peewee.Expression]) -> Callable[[], peewee.Expression]:
            self.notes.append(Note(chosen.__name__, text, chosen))
            return chosen

        return register

    def watched_by(self, text: str, unit: str = "") -> Callable[[Callable], Callable]:
        """Decorator: ``astra status`` watches the median over each night of ``function(spectra)``.

        The function is given a model of spectra, and gives an SQL expression over a join of the results with
        it; NULL leaves a result out, and so does ``flag_bad``. Its name is that of the quantity in limits,
        and with the unit behind it a part of that of the metric.

        Args:
            text: What the quantity is, as the help of the metric.
            unit: In the plural, such as ``seconds``; empty for a ratio.

        Raises:
            TypeError: A name or a unit has other characters than a-z, 0-9 and _; or a name is there twice.
        """

        def register(value: Callable[[type[BaseModel]], peewee.Node]) -> Callable:
            name = value.__name__
            if not _IN_METRICS.fullmatch(name) or (unit and not _IN_METRICS.fullmatch(unit)):
                raise TypeError(
                    f"task {self.name}: name and unit of what is watched are of a-z, 0-9 and _, and begin "
                    f"with a letter: {name!r}, {unit!r}"
                )
            if name in self.watched:
                raise TypeError(f"task {self.name}: two functions of watched_by are called {name}")
            self.watched[name] = Watched(name, text, unit, value)
            return value

        return register

    def reported_by(self, title: str) -> Callable[[Callable], Callable]:
        """Decorator: ``function(rows)`` yields what ``astra report`` shows below a heading, after all else.

        ``rows`` has the newest result of each spectrum, as an array for each column of numbers; what is
        yielded are texts (HTML if they are ``markupsafe.Markup``) and figures of Bokeh.
        """

        def register(make: Callable[[Mapping], Iterable]) -> Callable[[Mapping], Iterable]:
            self.sections.append(OwnSection(title, make))
            return make

        return register

    def examined_by(self, function: Callable[[], Iterable]) -> Callable[[], Iterable]:
        """Decorator: ``function()`` yields what ``astra doctor`` says of this task.

        Each is a tuple of a level (``ok``, ``warn``, ``fail``), a text and, if the text does not say it, what
        to do about it.
        """
        self.examinations.append(function)
        return function


@typing.overload
def task(function: Callable[..., Iterator[Any]]) -> Task: ...


@typing.overload
def task(*, uses_source: bool) -> Callable[[Callable[..., Iterator[Any]]], Task]: ...


def task(
    function: Callable[..., Iterator[Any]] | None = None, *, uses_source: bool = True, group_by: Any = None
) -> Any:
    """Make a task of a generator whose annotations name the models of its input and output.

    Args:
        function: The generator.
        uses_source: Whether its numbers depend on the source of a spectrum: then, when that has changed, a
            row is made anew, or derived again where the task can.
        group_by: Upstream's; refused.

    Raises:
        TypeError: The first parameter is not annotated as an iterable of a model, or the return value not as
            an iterator of a model of results; or that model has flags without being a ``FlaggedOutputModel``;
            or a keyword-only parameter cannot be an option; or ``group_by`` is given, which is upstream's.
    """
    if group_by is not None:
        raise TypeError(
            "@task(group_by=…) is not supported, for a task yields one row for each spectrum: write @task "
            "without it, and register what belongs together as one spectrum, of a model of its own"
        )
    make = functools.partial(Task, uses_source=uses_source)
    return make if function is None else make(function)


def _models_of(function: Callable) -> tuple[tuple[type[BaseModel], ...], type[PipelineOutputModel]]:
    hints = typing.get_type_hints(function)
    first = next(iter(inspect.signature(function).parameters), None)
    spectrum, output = _item(hints.get(first)), _item(hints.get("return"))
    is_union = typing.get_origin(spectrum) in (types.UnionType, typing.Union)
    spectra = typing.get_args(spectrum) if is_union else (spectrum,)
    if not all(isinstance(each, type) and issubclass(each, BaseModel) for each in spectra):
        raise TypeError(
            f"task {function.__name__}: annotate {first or 'the spectra'} as Iterable[a spectrum model]; "
            "of several, write Iterable[one | other]"
        )
    if not (isinstance(output, type) and issubclass(output, PipelineOutputModel)):
        raise TypeError(f"task {function.__name__}: annotate what it yields as Iterator[a model of results]")
    for fault in _faults_of(output):
        raise TypeError(f"task {function.__name__}: {fault}")
    return spectra, output


def _faults_of(output: type[PipelineOutputModel]) -> Iterator[str]:
    """What is wrong with a model of results."""
    model = output.__name__
    if PipelineOutputModel.UNIQUE not in output._meta.indexes:
        yield f"{model} has indexes of its own: name PipelineOutputModel.UNIQUE among them"
    if not issubclass(output, FlaggedOutputModel):
        for name in _OF_FLAGGED & vars(output).keys():
            yield f"{model} has a {name} of its own; let it inherit from FlaggedOutputModel"
        return
    if not output.BAD & FlaggedOutputModel.BAD:
        yield f"BAD of {model} leaves flag_no_result out: write BAD = FlaggedOutputModel.BAD | …"
    named: dict[tuple[str, int], str] = {}
    for name, flag in flags_of(output).items():
        if (other := named.setdefault((flag.field.name, flag.bit), name)) != name:
            yield f"{other} and {name} of {model} are both bit {flag.bit}: give each a bit of its own"
    known = sum(flag.value for flag in flags_of(output, "result_flags").values())
    if unknown := (output.BAD | output.WARN) & ~known:
        yield f"BAD or WARN of {model} has bit {unknown.bit_length() - 1}, which no flag has"


def _item(hint: Any) -> Any:
    origins = (collections.abc.Iterable, collections.abc.Iterator, collections.abc.Generator)
    return typing.get_args(hint)[0] if typing.get_origin(hint) in origins else None
