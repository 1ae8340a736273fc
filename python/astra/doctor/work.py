"""What runs have left behind: results of other weights, dead workers, spectra that workers died of."""

from collections.abc import Iterator

from astra.database.connection import now
from astra.doctor.findings import OK, WARN, Finding
from astra.doctor.known import Known
from astra.running.runs import refuse_to_mix
from astra.status.in_flight import DEAD, UNKNOWN, suspects_of, workers_of
from astra.tasks.registry import task_names


def check_results(known: Known) -> Iterator[Finding]:
    """Whether the weights in force are those of the results so far."""
    for name, task in known.tasks.items():
        if name not in known.provenance:
            yield Finding("results", WARN, f"{name}: not checked, for that needs the weights")
            continue
        refuse_to_mix(task, known.provenance[name])
        yield Finding("results", OK, f"{name}: no rows of other weights, seeds or draws")


def check_claims(known: Known) -> Iterator[Finding]:
    """Whether everybody who has spectra in hand lives."""
    moment = now(known.database)
    for name in task_names():
        workers, suspects = workers_of(name, moment), suspects_of(name)
        troubled = False
        for state, said in ((DEAD, "seem dead"), (UNKNOWN, "may be dead: nobody can tell from here")):
            of_state = [worker for worker in workers if worker["state"] == state]
            if of_state:
                troubled = True
                places = ", ".join(f"{worker['host']}:{worker['pid']}" for worker in of_state)
                remedy = f"`astra run {name}` takes over what dead ones had in hand"
                yield Finding("claims", WARN, f"{name}: {len(of_state)} workers {said} ({places})", remedy)
        if waiting := suspects["waiting"]:
            troubled = True
            said = f"{name}: {waiting:,} spectra wait to be taken alone, because a worker died that had them"
            yield Finding("claims", WARN, said, f"`astra run {name}` takes them one by one")
        if not troubled:
            in_hand = sum(worker["in_hand"] for worker in workers)
            yield Finding("claims", OK, f"{name}: {len(workers)} workers, {in_hand:,} spectra in hand")
