"""The table of the results: one row per spectrum."""

from astra.fields import FloatField
from astra.models import FlaggedOutputModel


class TemplateSnr(FlaggedOutputModel):
    """The correlation of one spectrum with the template under one minor version of astra."""

    ccf_snr = FloatField(help_text="Height of the highest peak of the correlation over the noise far from it")
    v_shift = FloatField(
        help_text="Velocity of the peak, positive if the spectrum is redder than the template [km/s]"
    )
    # Since version 0.2; a row of version 0.1 has none until it is made anew.
    ccf_height = FloatField(help_text="Correlation coefficient at the peak, from -1 to 1")

    # A bit that was published is never renumbered and never used again.
    flag_low_peak = FlaggedOutputModel.result_flags.flag(2**0, "The peak is less than 5 times the noise")
    flag_peak_at_edge = FlaggedOutputModel.result_flags.flag(
        2**1, "The peak is at an end of the searched range"
    )

    WARN = 2**0
    BAD = FlaggedOutputModel.BAD | 2**1

    class Meta:
        table_name = "template_snr"
