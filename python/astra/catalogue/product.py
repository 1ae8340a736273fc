"""The products: a catalogue for each installed task, named after the model of its results, as upstream."""

from astra.errors import UsageError, nearest
from astra.tasks.contract import Task
from astra.tasks.installed import find_task, installed_tasks, short_name, task_names

PREFIX = "astraAllStar"


def product_of(task: Task) -> str:
    """The name of the catalogue of a task, e.g. ``astraAllStarAstroNNdist``."""
    return f"{PREFIX}{task.output_model.__name__}"


def find_product(name: str) -> Task:
    """The task whose catalogue is meant.

    Args:
        name: The name of the catalogue, in upper or lower case, or that of the task, which may be dotted.

    Raises:
        UsageError: There is no such catalogue, or two tasks have one of this name.
        ConfigError: The package that offers the task is broken.
    """
    if short_name(name) in task_names():
        return find_task(name)
    installed = installed_tasks()
    products = {each: product_of(task) for each, task in installed.items() if isinstance(task, Task)}
    found = [each for each, product in products.items() if product.lower() == name.lower()]
    if len(found) == 1:
        return installed[found[0]]
    if found:
        raise UsageError(f"{name} is the product of {' and '.join(found)}: give the name of the task")
    known = [*sorted(set(products.values())), *task_names()]
    raise UsageError(f"there is no task or product {name}{nearest(name, known)}")
