"""Whether a row still rests on the inputs that its spectrum has now, as conditions of a query.

The version of an input is its ``modified``: it moves on with each change, and no two states of one row have
the same. A result keeps those that it was made from, and a change is seen by a difference, whatever the
clocks say. Only rows from before these were kept are judged by the time at which their inputs were read.
"""

import peewee
from peewee import fn

from astra.database.connection import is_postgresql, now_sql
from astra.models.base import BaseModel
from astra.models.pipeline import PipelineOutputModel
from astra.models.source import Source

# SQLite keeps moments as text, and who writes one by hand may spell it in another way.
_SPELLED = "%Y-%m-%d %H:%M:%f"


def spectrum_changed(results: type[PipelineOutputModel], spectra: type[BaseModel]) -> peewee.Node:
    """Whether a spectrum has changed since its result was made, over a join of both."""
    known, then = results.spectrum_modified, results.inputs_read
    return _moved(known, spectra.modified, then.is_null() | (spectra.modified >= then))


def source_changed(results: type[PipelineOutputModel], spectra: type[BaseModel]) -> peewee.Expression:
    """Whether a spectrum has another source than its result, or that has changed, over a join of all."""
    # Rows from before ``source_read`` was kept were made when their spectra were read.
    known, then = results.source_modified, fn.COALESCE(results.source_read, results.inputs_read)
    changed = _moved(known, Source.modified, then.is_null() | (Source.modified >= then))
    return has_other_source(results, spectra) | changed


def has_other_source(results: type[PipelineOutputModel], spectra: type[BaseModel]) -> peewee.Expression:
    """Whether a spectrum has another source than its result, over a join of both."""
    return fn.COALESCE(results.source_pk, 0) != fn.COALESCE(spectra.source, 0)


def same_spectrum(known: peewee.Field, moment: peewee.Field, spectra: type[BaseModel]) -> peewee.Node:
    """Whether a spectrum is as it was when something was noted of it.

    Args:
        known: The version of the spectrum that was noted.
        moment: When it was noted; counts where the version was not.
        spectra: The model of the spectra.
    """
    return negated(_moved(known, spectra.modified, moment <= spectra.modified))


def was_ahead(moment: peewee.Field) -> peewee.Expression:
    """Whether a moment of the past is later than now: so it comes from a clock that was ahead."""
    return moment > peewee.SQL(now_sql(moment.model._meta.database))


def negated(condition: peewee.Node) -> peewee.NodeList:
    """Whether a condition, of which peewee's ``~`` may make none, does not hold."""
    return peewee.NodeList((peewee.SQL("NOT"), condition))


def _moved(known: peewee.Field, modified: peewee.Field, unknown: peewee.Expression) -> peewee.Node:
    """Whether an input has another version than the one that is known; ``unknown`` decides where none is."""
    differs = peewee.Value(True)
    if not is_postgresql(known.model._meta.database):
        differs = fn.strftime(_SPELLED, known) != fn.strftime(_SPELLED, modified)
    # Not by AND, of which SQLite computes both sides here.
    return peewee.Case(None, [(known.is_null(), unknown), (known == modified, False)], differs)
