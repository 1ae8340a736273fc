"""The table of the results: one row per spectrum."""

from astra.fields import FloatField
from astra.models import FlaggedOutputModel


class D4000(FlaggedOutputModel):
    """The 4000 Angstrom break of one spectrum under one minor version of astra."""

    d4000 = FloatField(help_text="Mean flux per unit frequency above the break over that below it")
    e_d4000 = FloatField(
        help_text="Error on d4000, from the errors of the pixels; not from that of the redshift"
    )
    coverage = FloatField(help_text="The part of the less covered band that was measured, from 0 to 1")

    # A bit that was published is never renumbered and never used again.
    flag_redshift_doubtful = FlaggedOutputModel.result_flags.flag(2**0, "ZWARNING of the spectrum is not 0")
    flag_not_covered = FlaggedOutputModel.result_flags.flag(
        2**1, "Less of a band was measured than --min-coverage"
    )
    flag_no_flux = FlaggedOutputModel.result_flags.flag(2**2, "The flux below the break is not positive")

    WARN = 2**0
    BAD = FlaggedOutputModel.BAD | 2**1 | 2**2

    class Meta:
        table_name = "d4000"
