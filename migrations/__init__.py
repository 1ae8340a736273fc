"""Schema migrations, applied in order by ``astra init`` and packaged as ``astra.migrations``.

They run beside readers and runs: ``docs/contributing.md`` says what one may do. A migration that has been
released is never edited, except where it does harm on a large table: it describes the schema as it was
then, apart from the models as they are now. The view ``distances`` is not theirs: ``astra init`` makes it
from its model when all are applied. One that takes a column away drops the views that have it first:
``distances`` and, on PostgreSQL, those of ``astra.schema.upstream``, which ``astra init`` makes again too.

Tables of trials get the columns that production has got, from ``astra init``. A migration that corrects
values, or that adds an index, does so in the tables that ``task_trial`` names as well.

Three names in a migration are for ``astra init --plan``: ``ROWS``, what becomes of the rows; ``FILLED_BY``,
how old rows get values in its columns; ``CORRECTED``, by table, columns that have no wrong values after it.
"""
