"""Functions and aggregates that SQLite is given, in Python; a value that does not exist is NULL.

PostgreSQL has them, and libraries of SQLite that were built without its own mathematics lack even the first.
"""

import math
from array import array

import peewee

#: The name of the aggregate, and those of functions that SQLite or its users may have by their plain names.
MEDIAN = "astra_median"
PREFIX = "astra_"

#: The argument of the exponential function is between these limits; beyond them it has no value.
LARGEST_EXPONENT = 200.0

#: Of one degree [rad].
RADIANS = math.pi / 180
#: A sine times this is below 1, whatever its last digits are.
JUST_BELOW_1 = 1 - 1e-15


def _log10(value: float | None) -> float | None:
    return math.log10(value) if value is not None and value > 0 else None


def _ln(value: float | None) -> float | None:
    return math.log(value) if value is not None and value > 0 else None


def _sqrt(value: float | None) -> float | None:
    return math.sqrt(value) if value is not None and value >= 0 else None


def _exp(value: float | None) -> float | None:
    return math.exp(value) if value is not None and abs(value) < LARGEST_EXPONENT else None


def _least(*values: float | None) -> float | None:
    return min((value for value in values if value is not None), default=None)


def _greatest(*values: float | None) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _separation(*places: float | None) -> float | None:
    """The angle between two places, longitude and latitude each, by the haversine formula [deg]."""
    if None in places:
        return None
    first_longitude, first, second_longitude, second = (RADIANS * value for value in places)
    across, along = math.sin((first_longitude - second_longitude) / 2), math.sin((first - second) / 2)
    squared = along * along + math.cos(first) * math.cos(second) * (across * across)
    return 2 * math.asin(math.sqrt(squared) * JUST_BELOW_1) / RADIANS


#: Functions of one number that the view ``distances`` and SQL of others call by their plain names.
SQLITE_FUNCTIONS = {"log10": _log10, "sqrt": _sqrt}


class _Median:
    """An aggregate for SQLite, which keeps the numbers of one group as doubles."""

    def __init__(self) -> None:
        self.values = array("d")

    def step(self, value: float | None) -> None:
        """Take the number of one row."""
        if value is not None:
            self.values.append(value)

    def finalize(self) -> float | None:
        """The median, by the two in the middle where their number is even."""
        if not self.values:
            return None
        ordered, half = sorted(self.values), len(self.values) // 2
        return (ordered[half] + ordered[~half]) / 2


def give_functions(database: peewee.SqliteDatabase) -> None:
    """Register all of them; a connection that is opened later has them, too."""
    functions = {name: (function, 1) for name, function in SQLITE_FUNCTIONS.items()}
    functions |= {f"{PREFIX}ln": (_ln, 1), f"{PREFIX}exp": (_exp, 1)}
    functions |= {f"{PREFIX}least": (_least, -1), f"{PREFIX}greatest": (_greatest, -1)}
    functions[f"{PREFIX}separation"] = (_separation, 4)
    for name, (function, arguments) in functions.items():
        database.register_function(function, name, arguments, deterministic=True)
    database.register_aggregate(_Median, MEDIAN, 1)
