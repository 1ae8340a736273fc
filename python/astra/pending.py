"""Public names of :mod:`astra.tasks.queries`."""

from astra.tasks.queries import generate_queries_for_task as generate_queries_for_task
