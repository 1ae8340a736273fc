"""What is installed: the tasks, those of other packages among them."""

from collections.abc import Iterator

from astra.doctor.findings import FAIL, OK, WARN, Finding
from astra.doctor.known import Known
from astra.errors import ConfigError
from astra.task_tables import check_tables
from astra.tasks import comes_with_astra, installed_tasks


def check_tasks(known: Known) -> Iterator[Finding]:
    """Which tasks can be loaded and have their tables; the others are left out of all further checks."""
    for name, task in installed_tasks().items():
        try:
            if isinstance(task, ConfigError):
                raise task
            if known.schema:
                check_tables(task)
        except ConfigError as error:
            if comes_with_astra(name):
                yield Finding("tasks", FAIL, str(error), exit_code=error.exit_code)
            else:
                yield Finding("tasks", WARN, str(error), "other tasks can run")
        else:
            known.tasks[name] = task
    if known.tasks:
        yield Finding("tasks", OK, f"usable: {', '.join(known.tasks)}")
