"""Flags in words."""

import re
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import peewee

from astra.errors import UsageError, nearest
from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist, Distance, FlaggedOutputModel, Source
from astra.models.astronn_dist import not_clean_starflags
from astra.models.base import BaseModel
from astra.models.fields import flags_of

#: The models of the distances: results, spectra, stars.
OF_DISTANCES = (AstroNNdist, ApogeeCoaddedSpectrumInApStar, Source)

#: What the survey calls a column, and flags that are called otherwise here (bitmasks of DR17).
_COLUMNS_OF_THE_SURVEY = {"STARFLAG": "spectrum_flags"}
_FLAGS_OF_THE_SURVEY = {"rv_fail": "flag_rv_failure"}

# The columns have room for so many.
_BITS = 63
# What several bits of the flags of results make.
_SUMMARIES = {"flag_warn": "Look twice at the row", "flag_bad": "Discard the row"}


@dataclass(frozen=True)
class Flag:
    """One bit.

    Attributes:
        bit: Its number.
        name: Its name; ``None`` if it has none.
        meaning: What it means when it is set.
        flag_warn: Whether it sets ``flag_warn``; only of ``result_flags``.
        flag_bad: Whether it sets ``flag_bad``; only of ``result_flags``.
        not_good: Whether a distance with it is not ``good``.
        not_clean: Whether one with it is not ``clean``, of a bit of STARFLAG in one release at least.
    """

    bit: int
    name: str | None
    meaning: str
    flag_warn: bool
    flag_bad: bool
    not_good: bool
    not_clean: bool

    def line(self) -> str:
        """All of it on one line."""
        named = {"flag_bad": self.flag_bad, "flag_warn": self.flag_warn, "not good": self.not_good}
        named |= {"not clean": self.not_clean and not self.not_good}
        effects = [word for word, applies in named.items() if applies]
        effect = f" [{', '.join(effects)}]" if effects else ""
        return f"bit {self.bit:>2}  {self.name or 'unknown'}{effect}: {self.meaning}"


@dataclass(frozen=True)
class Explained:
    """A value of a column of flags.

    Attributes:
        kind: The column.
        value: The value.
        flags: Its bits.
        summaries: What was asked for by the name of a summary, and what that means: any of its bits makes it.
    """

    kind: str
    value: int
    flags: list[Flag]
    summaries: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        made = _SUMMARIES if self.kind == "result_flags" else ()
        return asdict(self) | {name: any(getattr(flag, name) for flag in self.flags) for name in made}

    def lines(self) -> list[str]:
        """For a person: the value, then one line for each bit that is set."""
        if not self.flags:
            return [f"{self.kind} 0: no flag is set"]
        value = f"{self.kind} {self.value} = {self.value:#x}"
        made = [f"{name} [any of its bits makes it]: {meaning}" for name, meaning in self.summaries.items()]
        return [*made, value, *(flag.line() for flag in self.flags)]


def explain(
    words: Sequence[str], kind: str | None = None, models: Sequence[type[BaseModel]] = OF_DISTANCES
) -> Explained:
    """Say what the flags of a value mean.

    Args:
        words: Numbers (decimal, 0x…, 0b…, 0o…) or names of flags, also those of the survey, which count
            together; flag_warn and flag_bad are all bits of result_flags that make them.
        kind: The column; ``None`` takes the one that has these names, and ``result_flags`` for numbers alone.
        models: What it is looked for in: the results of a task, its spectra, and stars.

    Raises:
        UsageError: A word is neither, or no model has such a column of flags.
    """
    others = _all_flags(models) if kind is None else {}
    kind = kind or _kind_of(words, models)
    kind = _COLUMNS_OF_THE_SURVEY.get(kind.upper(), kind)
    named, summaries = known_flags(kind, models), _summaries(kind, models)
    value = 0
    for word in words:
        value |= _value(word, kind, named, summaries, others)
    by_bit = {flag.bit: flag for flag in named.values()}
    set_bits = [bit for bit in range(_BITS) if value >> bit & 1]
    unknown = "this version of Astra knows no such flag"
    found = [by_bit.get(bit) or _flag(kind, models, bit, None, unknown) for bit in set_bits]
    asked = [name for name in summaries if name in [word.lower() for word in words]]
    of_view = Distance._meta.fields if AstroNNdist in models else {}
    meanings = {name: of_view[name].help_text if of_view else _SUMMARIES[name] for name in asked}
    return Explained(kind, value, found, meanings)


def known_flags(kind: str, models: Sequence[type[BaseModel]] = OF_DISTANCES) -> dict[str, Flag]:
    """The flags of a column that have a name, in the order of their bits.

    Args:
        kind: The column.
        models: What it is looked for in; the first that has it counts.

    Raises:
        UsageError: None has such a column of flags.
    """
    named = flags_of(_model_of(kind, models), kind)
    return {
        name: _flag(kind, models, flag.bit, name, flag.help_text or "not described")
        for name, flag in named.items()
    }


def flags_set(model: type[BaseModel], column: str, value: int, among: int = -1) -> dict[str, str]:
    """The flags of a value of a column by their names, with their meanings.

    Args:
        model: The table.
        column: The column of flags.
        value: Its value; ``None`` counts as 0.
        among: The bits to look at; others are left out.
    """
    bits = (value or 0) & among
    return {name: flag.help_text for name, flag in flags_of(model, column).items() if bits & flag.value}


def why_not_clean(
    result_flags: int, not_clean: int | None, spectrum_flags: int | None, release: str | None
) -> list[str]:
    """The reasons why a distance is not clean, in words; none where it is, or was not looked at."""
    starflags = not_clean_starflags(release) | Distance.NOT_GOOD
    parts = (
        flags_set(AstroNNdist, "result_flags", result_flags, AstroNNdist.BAD),
        flags_set(AstroNNdist, "not_clean", not_clean),
        flags_set(ApogeeCoaddedSpectrumInApStar, "spectrum_flags", spectrum_flags, starflags),
    )
    return [meaning for part in parts for meaning in part.values()]


def _columns(models: Sequence[type[BaseModel]]) -> dict[str, type[BaseModel]]:
    """The columns of flags, each with the first model that has it."""
    columns: dict[str, type[BaseModel]] = {}
    for model in models:
        for field in model._meta.sorted_fields:
            if isinstance(field, peewee.BitField):
                columns.setdefault(field.name, model)
    return columns


def _kind_of(words: Sequence[str], models: Sequence[type[BaseModel]]) -> str:
    """The column whose flags are named; that of results where none is, or no column has all of them."""
    for kind in _columns(models):
        known = {name.lower() for name in (*known_flags(kind, models), *_summaries(kind, models))}
        names = {_spelled(word, known) for word in words if not word[:1].isdecimal()}
        if names and names <= known:
            return kind
    return "result_flags"


def _all_flags(models: Sequence[type[BaseModel]]) -> dict[str, str]:
    """The names of all flags, with their columns."""
    return {name: kind for kind in _columns(models) for name in known_flags(kind, models)}


def _spelled(word: str, known: Collection[str]) -> str:
    """A flag as it is called here, in lower case."""
    name = _FLAGS_OF_THE_SURVEY.get(word.lower(), word.lower())
    return f"flag_{name}" if f"flag_{name}" in known else name


def _model_of(kind: str, models: Sequence[type[BaseModel]]) -> type[BaseModel]:
    columns = _columns(models)
    if kind not in columns:
        names = ", ".join(model.__name__ for model in models)
        raise UsageError(f"no column of flags {kind!r} in any of {names}; give --kind {' or '.join(columns)}")
    return columns[kind]


def _flag(kind: str, models: Sequence[type[BaseModel]], bit: int, name: str | None, meaning: str) -> Flag:
    masks = dict.fromkeys(_SUMMARIES, 0) | _summaries(kind, models)
    masks |= {"not_good": _not_good(kind, models), "not_clean": _not_clean(kind, models)}
    return Flag(bit, name, meaning, **{effect: bool(mask >> bit & 1) for effect, mask in masks.items()})


def _summaries(kind: str, models: Sequence[type[BaseModel]]) -> dict[str, int]:
    """The bits that make each summary of a column."""
    model = _model_of(kind, models)
    if kind != "result_flags" or not issubclass(model, FlaggedOutputModel):
        return {}
    return {"flag_warn": model.WARN, "flag_bad": model.BAD}


def _not_good(kind: str, models: Sequence[type[BaseModel]]) -> int:
    """The bits of a column that keep a distance from being good."""
    bits = {"result_flags": AstroNNdist.BAD, "spectrum_flags": Distance.NOT_GOOD}
    return bits.get(kind, 0) if AstroNNdist in models else 0


def _not_clean(kind: str, models: Sequence[type[BaseModel]]) -> int:
    """The bits of a column that keep a distance from being clean."""
    every = sum(flag.value for flag in flags_of(AstroNNdist, "not_clean").values())
    bits = {"spectrum_flags": not_clean_starflags(), "not_clean": every}
    return _not_good(kind, models) | (bits.get(kind, 0) if AstroNNdist in models else 0)


def _value(
    word: str, kind: str, named: dict[str, Flag], summaries: dict[str, int], others: dict[str, str]
) -> int:
    """The bits of one word; ``others`` are flags with their columns, which may have been meant."""
    bits = {name.lower(): 1 << flag.bit for name, flag in named.items()} | summaries
    if (name := _spelled(word, bits)) in bits:
        return bits[name]
    try:
        value = int(name, 0 if name[:2] in ("0x", "0b", "0o") else 10)
    except ValueError:
        known = dict.fromkeys([*named, *summaries])
        meant = nearest(name, known, None) or nearest(name, others, None)
        for flag in others.keys() - known:
            meant = re.sub(rf"\b{flag}\b", f"{flag} of {others[flag]}", meant)
        meant = meant or nearest(name, known)
        raise UsageError(f"{word!r} is neither a number nor a flag of {kind}{meant}") from None
    if not 0 <= value < 1 << _BITS:
        raise UsageError(f"not a value of {kind}: {word!r} is not between 0 and 2^{_BITS} - 1")
    return value
