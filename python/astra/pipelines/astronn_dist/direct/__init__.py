"""Distances without a database: what the task computes, for one star or for arrays of them.

distances.py   ``astra.distance`` and ``astra.distance_from_apstar``
inputs.py      what a caller gives, checked, and brought into the form that the computation takes
result.py      what a caller gets: quantities with units, and flags
"""

from astra.pipelines.astronn_dist.direct.distances import distance, distance_from_apstar
from astra.pipelines.astronn_dist.direct.result import StarDistance

__all__ = ["StarDistance", "distance", "distance_from_apstar"]
