"""Schema migrations, applied in order by ``astra init`` and packaged as ``astra.migrations``.

A migration that has been released is never edited: it describes the schema as it was then, apart
from the models as they are now. The view ``distances`` is no longer theirs: ``astra init`` makes it from its
model when all are applied. One that takes a column away drops the views that have it first: ``distances``
and, on PostgreSQL, those of ``astra.schema.upstream``, which ``astra init`` makes again too.
"""
