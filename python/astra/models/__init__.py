"""The tables: what was observed, what was measured, and which run measured it.

base.py            the base of all models; upsert: many rows at once, new ones inserted, known ones updated
fields.py          columns that know their help text and unit; NaN in Python is NULL in SQL
filters.py         conditions on columns, and arithmetic, from text to a query that holds none of the text
glossary.py        the wording of every column
source.py          stars: photometry, extinction, astrometry
apogee.py          APOGEE spectra, and what all spectra share
mwm.py             APOGEE spectra in mwmStar files
pipeline.py        what all tasks share: runs, workers and their claims, trials, the base of all results
astronn_dist.py    spectrophotometric distances, and the view ``distances`` with ``good``
explain.py         flags in words
links.py           a star elsewhere: coordinates as they are written, pages of others
"""

from astra.models.apogee import ApogeeCoaddedSpectrumInApStar, Spectrum
from astra.models.astronn_dist import AstroNNdist, Distance
from astra.models.base import BaseModel
from astra.models.mwm import APOGEE, ApogeeCombinedSpectrum
from astra.models.pipeline import (
    FlaggedOutputModel,
    PipelineOutputModel,
    TaskClaim,
    TaskRun,
    TaskTrial,
    TaskTrialEbv,
    TaskWithheld,
    TaskWorker,
)
from astra.models.source import Source

#: Every table, in an order in which they can be created.
TABLES = (
    *(Source, Spectrum, *APOGEE),
    *(TaskRun, TaskWorker, TaskClaim, TaskWithheld, TaskTrial, TaskTrialEbv),
    AstroNNdist,
)

__all__ = [
    "TABLES",
    "ApogeeCoaddedSpectrumInApStar",
    "ApogeeCombinedSpectrum",
    "AstroNNdist",
    "BaseModel",
    "Distance",
    "FlaggedOutputModel",
    "PipelineOutputModel",
    "Source",
    "Spectrum",
    "TaskClaim",
    "TaskRun",
    "TaskTrial",
    "TaskTrialEbv",
    "TaskWithheld",
    "TaskWorker",
]
