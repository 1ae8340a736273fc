"""The table of version 0.1: its own columns are frozen here, those of all results are astra's."""

from astra.fields import FloatField
from astra.models import FlaggedOutputModel


def up(migrator, db):
    class TemplateSnr(FlaggedOutputModel):
        ccf_snr = FloatField()
        v_shift = FloatField()

        class Meta:
            table_name = "template_snr"

    db.create_tables([TemplateSnr])


def down(migrator, db):
    db.execute_sql('DROP TABLE "template_snr"')
