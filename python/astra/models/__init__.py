"""The tables: what was observed, what was measured, and which run measured it."""

from astra.models.apogee import ApogeeCoaddedSpectrumInApStar
from astra.models.astronn_dist import AstroNNdist, Distance
from astra.models.claims import TaskClaim, TaskWorker
from astra.models.pipeline import PipelineOutputModel, TaskRun
from astra.models.source import Source
from astra.models.spectrum import Spectrum
from astra.models.withheld import TaskWithheld

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
