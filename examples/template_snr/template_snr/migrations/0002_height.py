"""Store the correlation coefficient at the peak, too; rows of version 0.1 have none."""

from astra.fields import FloatField


def up(migrator, db):
    migrator.migrate(migrator.add_column("template_snr", "ccf_height", FloatField()))


def down(migrator, db):
    migrator.migrate(migrator.drop_column("template_snr", "ccf_height"))
