"""What must not change while a worker lives: which workers there are, and what dead ones have left."""

from astra.database.connection import database
from astra.database.locks import liveness_of
from astra.errors import Interrupted
from astra.models.pipeline import TaskWorker
from astra.running.claims import Claims
from astra.tasks.contract import Task
from astra.tasks.pending import Selection


def refuse_workers(task: Task) -> None:
    """Release what dead workers of a set of results had in hand, and stop if there are living ones.

    Within ``changing_claims``: as long as that lasts, nobody becomes a worker.

    Raises:
        Interrupted: A worker lives, or may live.
    """
    Claims(Selection(task), None).sweep()
    left = TaskWorker.select().where(TaskWorker.task == task.key).order_by(TaskWorker.pk).first()
    if left is None:
        return
    may = "may live" if liveness_of(database.opened()).in_doubt(task.key, 0) else "lives"
    raise Interrupted(
        f"a worker of {task.key} {may} (process {left.pid} on {left.host}, run {left.run_pk}): wait for its "
        "end, or stop it, and try again"
    )
