"""Writing results for what is still one's own."""

from collections.abc import Collection

from astra.database.connection import locked
from astra.models.claims import TaskClaim


def settle(task: str, token: int, keys: Collection[int]) -> set[int]:
    """Drop the claims of a chunk on some spectra, within the transaction that writes their results.

    Args:
        task: Name of the task.
        token: Token of the chunk.
        keys: Spectra.

    Returns:
        Those of the spectra that were still claimed with the token: results of all others are not to be
        written, because somebody else has them now.
    """
    mine = (TaskClaim.task == task) & (TaskClaim.token == token) & (TaskClaim.spectrum_pk << list(keys))
    # In the order in which all others lock them: nobody waits for somebody who waits for him.
    query = TaskClaim.select(TaskClaim.spectrum_pk).where(mine).order_by(TaskClaim.spectrum_pk)
    held = {pk for (pk,) in locked(query).tuples()}
    TaskClaim.delete().where(mine).execute()
    return held
