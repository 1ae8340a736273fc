"""Workers of a trial and of production are killed side by side: at the end both sets are complete."""

import signal
import time
from collections import Counter

import pytest
from builders import a_source, a_spectrum, write_apstar
from fake_runs import FakeRuns

from astra.models import AstroNNdist, TaskClaim, TaskRun, TaskWorker
from astra.tasks.installed import find_task
from astra.tasks.trials import entered
from astra.trials.making import make_trial

TRIAL = "trial-x"


def _count_of_runs(task):
    """How many results of a set there are of each spectrum, and of which sets their runs are."""
    query = task.output_model.select(task.output_model.spectrum_pk, TaskRun.task)
    rows = list(query.join(TaskRun, on=(task.output_model.run_pk == TaskRun.pk)).tuples())
    return Counter(pk for pk, _ in rows), {key for _, key in rows}


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_a_storm_on_a_trial_beside_a_run_of_production_harms_neither_set(db, tmp_path, seed):
    path, count = write_apstar(tmp_path / "apStar-dr17-x.fits"), 600
    with db.atomic():
        star = a_source()
        keys = {a_spectrum(star, path).spectrum_pk for _ in range(count)}
    task, runs = find_task("astronn_dist"), FakeRuns(tmp_path)
    make_trial(task, TRIAL)
    options = {None: (), TRIAL: ("--into", TRIAL, "--seed", str(seed))}
    started = {name: [] for name in options}
    for kill in range(6):
        for name, words in options.items():
            started[name].append(runs.start("--batch-size", "20", "--workers", "2", *words))
        time.sleep(3)
        killed = started[TRIAL if kill % 2 else None].pop(0)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    for process in [each for some in started.values() for each in some]:
        assert process.wait(300) == 0, runs.errors[-3000:]
    assert [runs.run("--batch-size", "20", *words) for words in options.values()] == [0, 0]

    assert _count_of_runs(task) == (Counter(keys), {"astronn_dist"})
    with entered(task, TRIAL) as within:
        assert _count_of_runs(within) == (Counter(keys), {"astronn_dist@trial-x"})
        assert {row.run_pk for row in AstroNNdist.select()} <= {
            run.pk for run in TaskRun.select().where(TaskRun.seed == seed)
        }
    assert (TaskClaim.select().count(), TaskWorker.select().count()) == (0, 0)
