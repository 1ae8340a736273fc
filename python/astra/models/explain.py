"""Flags in words."""

import difflib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from astra.errors import UsageError
from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist, Distance, Source
from astra.models.fields import flags_of

_MODELS = {"result_flags": AstroNNdist, "spectrum_flags": ApogeeCoaddedSpectrumInApStar, "ebv_flags": Source}
# The columns have room for so many.
_BITS = 63
# Columns of `distances` that several bits of result_flags make, and these bits.
_SUMMARIES = {"flag_warn": AstroNNdist.WARN, "flag_bad": AstroNNdist.BAD}
# By column, bits that keep a result from being good.
_NOT_GOOD = {"result_flags": AstroNNdist.BAD, "spectrum_flags": Distance.NOT_GOOD}


@dataclass(frozen=True)
class Flag:
    """One bit.

    Attributes:
        bit: Its number.
        name: Its name; ``None`` if it has none.
        meaning: What it means when it is set.
        flag_warn: Whether it sets ``flag_warn``; only of ``result_flags``.
        flag_bad: Whether it sets ``flag_bad``; only of ``result_flags``.
        not_good: Whether a result with it is not ``good``.
    """

    bit: int
    name: str | None
    meaning: str
    flag_warn: bool
    flag_bad: bool
    not_good: bool

    def line(self) -> str:
        """All of it on one line."""
        named = {"flag_bad": self.flag_bad, "flag_warn": self.flag_warn, "not good": self.not_good}
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
        summaries = _summaries(self.kind)
        return asdict(self) | {name: bool(self.value & bits) for name, bits in summaries.items()}

    def lines(self) -> list[str]:
        """For a person: the value, then one line for each bit that is set."""
        if not self.flags:
            return [f"{self.kind} 0: no flag is set"]
        value = f"{self.kind} {self.value} = {self.value:#x}"
        made = [f"{name} [any of its bits makes it]: {meaning}" for name, meaning in self.summaries.items()]
        return [*made, value, *(flag.line() for flag in self.flags)]


def explain(words: Sequence[str], kind: str = "result_flags") -> Explained:
    """Say what the flags of a value mean.

    Args:
        words: Numbers (decimal, 0x…, 0b…, 0o…) or names of flags, which count together; flag_warn and
            flag_bad are all bits of result_flags that make them.
        kind: The column: result_flags, spectrum_flags or ebv_flags.

    Raises:
        UsageError: A word is neither.
    """
    named = known_flags(kind)
    value = 0
    for word in words:
        value |= _value(word, kind, named)
    by_bit = {flag.bit: flag for flag in named.values()}
    unknown = "this version of Astra knows no such flag"
    found = [by_bit.get(bit) or _flag(kind, bit, None, unknown) for bit in range(_BITS) if value >> bit & 1]
    asked = [name for name in _summaries(kind) if name in [word.lower() for word in words]]
    meanings = {name: Distance._meta.fields[name].help_text for name in asked}
    return Explained(kind, value, found, meanings)


def known_flags(kind: str) -> dict[str, Flag]:
    """The flags of a column that have a name, in the order of their bits."""
    named = flags_of(_MODELS[kind], kind)
    return {name: _flag(kind, flag.bit, name, flag.help_text) for name, flag in named.items()}


def _flag(kind: str, bit: int, name: str | None, meaning: str) -> Flag:
    masks = {"not_good": _NOT_GOOD.get(kind, 0), "flag_warn": 0, "flag_bad": 0} | _summaries(kind)
    return Flag(bit, name, meaning, **{effect: bool(mask >> bit & 1) for effect, mask in masks.items()})


def _summaries(kind: str) -> dict[str, int]:
    return _SUMMARIES if kind == "result_flags" else {}


def _value(word: str, kind: str, named: dict[str, Flag]) -> int:
    lowered = word.lower()
    if lowered in _summaries(kind):
        return _summaries(kind)[lowered]
    for name in (lowered, f"flag_{lowered}"):
        if name in named:
            return 1 << named[name].bit
    try:
        value = int(lowered, 0 if lowered[:2] in ("0x", "0b", "0o") else 10)
    except ValueError:
        known = [*named, *_summaries(kind)]
        close = difflib.get_close_matches(lowered, known, n=3, cutoff=0.4)
        meant = f"did you mean {', '.join(close)}?" if close else f"there are {', '.join(known)}"
        raise UsageError(f"{word!r} is neither a number nor a flag of {kind}; {meant}") from None
    if not 0 <= value < 1 << _BITS:
        raise UsageError(f"not a value of {kind}: {word!r} is not between 0 and 2^{_BITS} - 1")
    return value
