"""The tables: what was observed, what was measured, and which run measured it.

base.py            the base of all models
fields.py          columns that know their help text and unit; NaN in Python is NULL in SQL
glossary.py        the wording of every column
source.py          stars: photometry, extinction, astrometry
spectrum.py        what all spectra share
apogee.py          APOGEE spectra
pipeline.py        what the results of all pipelines share, and runs
astronn_dist.py    spectrophotometric distances, and the view ``distances``
view.py            the SQL of that view
claims.py          workers, the spectra that they have claimed, and those whose files the system withheld
upsert.py          many rows at once: new ones are inserted, known ones updated
explain.py         flags in words
"""

from astra.models.apogee import ApogeeCoaddedSpectrumInApStar
from astra.models.astronn_dist import AstroNNdist, Distance
from astra.models.claims import TaskClaim, TaskWithheld, TaskWorker
from astra.models.pipeline import PipelineOutputModel, TaskRun
from astra.models.source import Source
from astra.models.spectrum import Spectrum

#: Every table, in an order in which they can be created.
TABLES = (
    *(Source, Spectrum, ApogeeCoaddedSpectrumInApStar),
    *(TaskRun, TaskWorker, TaskClaim, TaskWithheld),
    AstroNNdist,
)

__all__ = [
    "TABLES",
    "ApogeeCoaddedSpectrumInApStar",
    "AstroNNdist",
    "Distance",
    "PipelineOutputModel",
    "Source",
    "Spectrum",
    "TaskClaim",
    "TaskRun",
    "TaskWithheld",
    "TaskWorker",
]
