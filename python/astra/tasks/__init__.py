"""Tasks: what one is, which are installed, and which spectra still need one.

conditions.py  a condition on what a run takes, by the names that the catalogue has
contract.py    @task, and what a task knows beside its generator
inputs.py      whether a row still rests on the inputs that its spectrum has now
installed.py   which tasks are installed, finding one by its name, and what packages offer in vain
options.py     the options of a task, from the annotations of its parameters
pending.py     which spectra need a task, as queries
queries.py     these queries, asked for as upstream Astra does
skeleton.py    a new package that adds a task, from templates in the folder beside
star_names.py  stars by the names that people give them
trials.py      sets of results beside those of production, and how a process enters one
withheld.py    spectra whose files the system withheld, which later runs try again
"""

from astra.tasks.contract import Provenance, Task, task
from astra.tasks.installed import find_task, installed_tasks, task_names
from astra.tasks.options import Option

__all__ = ["Option", "Provenance", "Task", "find_task", "installed_tasks", "task", "task_names"]
