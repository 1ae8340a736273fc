"""What a caller gets: the columns of a result as quantities with units, and its flags."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from astra.models.astronn_dist import AstroNNdist
from astra.models.fields import flags_of

if TYPE_CHECKING:
    from astropy.table import QTable
    from astropy.units import Quantity


@dataclass(frozen=True, eq=False)
class StarDistance:
    """Distance, parallaxes and flags of one star, or of N stars.

    Every attribute but ``meta`` is named like the column of the results that it equals. Numbers are
    quantities, NaN where absent, flags are bool and ``result_flags`` holds their bits: scalars for one star,
    arrays of shape (N,) for N.

    Attributes:
        meta: What the numbers depend on besides the spectrum and the star: weights, their SHA-256, seed,
            draws, the version of Astra.
    """

    k_mag: "Quantity"
    ebv: "Quantity"
    A_k_mag: "Quantity"
    L_fakemag: "Quantity"
    e_L_fakemag: "Quantity"
    e_model_L_fakemag: "Quantity"
    dist: "Quantity"
    e_dist: "Quantity"
    e_model_dist: "Quantity"
    e_dist_full: "Quantity"
    dist_lo: "Quantity"
    dist_hi: "Quantity"
    nn_parallax: "Quantity"
    e_nn_parallax: "Quantity"
    e_model_nn_parallax: "Quantity"
    plx_zero_point: "Quantity"
    gaia_parallax: "Quantity"
    e_gaia_parallax: "Quantity"
    weighted_parallax: "Quantity"
    e_weighted_parallax: "Quantity"
    weighted_dist: "Quantity"
    e_weighted_dist: "Quantity"
    result_flags: int | np.ndarray
    flag_fakemag_unreliable: bool | np.ndarray
    flag_missing_photometry: bool | np.ndarray
    flag_missing_extinction: bool | np.ndarray
    flag_no_result: bool | np.ndarray
    flag_bad: bool | np.ndarray
    flag_warn: bool | np.ndarray
    meta: Mapping[str, Any]

    @classmethod
    def of(cls, columns: Mapping[str, np.ndarray], meta: Mapping[str, Any], single: bool) -> "StarDistance":
        """From columns as ``derive`` gives them, shape (N,); of one star if there is a single one."""
        from astropy.units import Quantity

        named = flags_of(AstroNNdist)
        bits = sum(flag.value * columns[name] for name, flag in named.items())
        flags = {
            "result_flags": bits,
            "flag_bad": (bits & AstroNNdist.BAD) != 0,
            "flag_warn": (bits & AstroNNdist.WARN) != 0,
        }
        values = {}
        for name, array in (columns | flags).items():
            if name in named or name in flags:
                values[name] = array[0].item() if single else array
            else:
                values[name] = Quantity(array[0] if single else array, AstroNNdist._meta.fields[name].unit)
        return cls(**values, meta=MappingProxyType(dict(meta)))

    def to_table(self) -> "QTable":
        """A table of one row for each star, with units and descriptions; ``meta`` goes into its ``meta``."""
        from astropy.table import QTable

        table = QTable(meta=dict(self.meta))
        for field in dataclasses.fields(self)[:-1]:
            table[field.name] = np.atleast_1d(getattr(self, field.name))
            described = getattr(AstroNNdist, field.name)
            table[field.name].info.description = getattr(described, "help_text", None)
        return table
