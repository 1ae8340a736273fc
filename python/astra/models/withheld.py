"""Spectra of which nothing is known, because the system does not give their files."""

from peewee import CompositeKey

from astra.models.base import BaseModel
from astra.models.fields import DateTimeField, ForeignKeyField, TextField
from astra.models.spectrum import Spectrum


class TaskWithheld(BaseModel):
    """A spectrum whose file the system withheld when a task last tried it; later runs try it again.

    It stands apart from the results, so that a good one stays as it is.
    """

    task = TextField(help_text="Name of the task")
    spectrum_pk = ForeignKeyField(
        Spectrum,
        lazy_load=False,
        column_name="spectrum_pk",
        index=False,
        help_text="The spectrum whose file was withheld",
    )
    reason = TextField(help_text="What the system said, and the file")
    tried = DateTimeField(help_text="When it was last tried: a moment before that, by the database's clock")

    class Meta:
        primary_key = CompositeKey("task", "spectrum_pk")
