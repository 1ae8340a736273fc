"""Public names of :mod:`astra.tasks.pending`."""

from astra.tasks.pending import generate_queries_for_task as generate_queries_for_task
