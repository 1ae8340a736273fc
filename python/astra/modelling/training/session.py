"""What the recipes share: a training from its request to its files, whatever its examples come from."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

import astra
from astra.errors import Interrupted, UsageError
from astra.modelling.training.examples import Examples
from astra.modelling.training.loop import CHECKPOINT, Trained, train
from astra.modelling.training.network import torch_threads
from astra.modelling.training.report.data import Columns, Report
from astra.modelling.training.report.writing import check_available, report_path, write_report
from astra.modelling.training.request import Origin, TrainingOptions, TrainingRequest
from astra.modelling.training.work_folder import locked
from astra.pipelines.astronn_dist.network.sampling import choose_device
from astra.pipelines.astronn_dist.weights.files import OURS, Weights, details_in_file, save_weights, sha256_of
from astra.running.ending import StopRequest
from astra.system.arguments import option_name, specified

#: The stage that trains; it counts the batches of all epochs, so that the time left is that of the whole.
TRAINING = "training, batches of {epochs} epochs"

#: Called with the name of a stage, how much of it is done, and how much there is in all.
StageProgress = Callable[[str, int, int | None], None]


def check(request: TrainingRequest) -> None:
    """Refuse, before any work, what makes no sense, or could not be written at the end.

    Raises:
        ConfigError: Bokeh, which draws the report, is missing.
        UsageError: An argument belongs to the other origin, contradicts another, or is not finite; or the
            file has another suffix, exists, or cannot be put there.
    """
    output = request.output
    for name in specified(request.database if request.origin is Origin.SIMULATOR else request.simulator):
        raise UsageError(f"{option_name(name)} has no meaning with --from {request.origin.value}")
    if output.suffix != OURS:
        raise UsageError(f"--output {output}: weights are written as {OURS} only")
    if output.is_dir():
        raise UsageError(f"--output {output}: a folder; give the name of a file")
    if output.exists() and not request.overwrite:
        raise UsageError(f"--output {output}: exists; choose another name, or give --overwrite")
    if (report := report_path(output)).is_dir():
        raise UsageError(f"--output {output}: its report, {report}, is a folder; move it away")
    folder = output.absolute().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"--output {output}: cannot write in the folder {folder}")
    request.database.cuts()
    check_available()


@dataclass(frozen=True)
class Session:
    """A training that is running."""

    request: TrainingRequest
    options: TrainingOptions
    device: str
    progress: StageProgress
    """To be called with how far the work is; after a signal it raises ``Interrupted``."""

    @property
    def _checkpoints(self) -> Path:
        """The folder of the state of this seed's training; the examples serve all seeds."""
        return self.request.folder / f"seed-{self.request.seed}"

    def train(self, training: Examples, validation: Examples) -> Trained:
        """Train, or go on from the checkpoint in the work folder."""
        return train(
            *(training, validation, self.options, self._checkpoints),
            seed=self.request.seed,
            device=self.device,
            progress=partial(self.progress, TRAINING.format(epochs=self.options.epochs)),
        )

    def provenance(self) -> dict[str, Any]:
        """What decides the numbers besides the examples; plain JSON."""
        platform = {"torch": torch.__version__, "device": self.device, "threads": torch.get_num_threads()}
        decided = {"seed": self.request.seed, "version": astra.__version__}
        return decided | {"options": asdict(self.options) | platform}

    def finish(self, trained: Trained, weights: Weights, found: Columns) -> None:
        """Write the report and the weights, and remove the checkpoint.

        Args:
            trained: How the training went.
            weights: What came out, with all that the file says of itself.
            found: The test stars and their predictions.
        """
        report = Report(
            name=weights.name,
            sha256=sha256_of(weights),
            details=details_in_file(weights),
            history=trained.history,
            best_epoch=trained.best_epoch,
            **found,
        )
        write_report(report_path(self.request.output), report)
        # The weights come last: their file says that all is done, and the same call is refused from then on.
        save_weights(weights, self.request.output)
        # It belongs to this training alone; the examples may serve the next.
        (self._checkpoints / CHECKPOINT).unlink(missing_ok=True)


@contextmanager
def session(request: TrainingRequest, on_progress: StageProgress, **of_recipe: Any) -> Iterator[Session]:
    """Hold the folder, the device, the threads and the signals of a training.

    Args:
        request: What is asked for.
        on_progress: Called with the stage of the work, what is done of it, and its total.
        of_recipe: Options that hold unless others are asked for.

    Raises:
        UsageError: The request makes no sense, or its output cannot be written.
        ConfigError: An option is out of its range, or Bokeh is missing, or there is no such device, or
            another training uses the folder, or it cannot be created.
        Interrupted: SIGINT or SIGTERM came.
    """
    check(request)
    options, device = request.options(**of_recipe), choose_device(request.device.value)
    with ExitStack() as stack:
        stack.enter_context(locked(request.folder))
        stack.enter_context(torch_threads(request.threads or torch.get_num_threads()))
        stop = stack.enter_context(StopRequest())
        stop.waits_for = lambda: "ends with the step in hand; the same command goes on from there"

        def progress(what: str, done: int, total: int | None = None) -> None:
            if stop.reason:
                raise Interrupted(f"stopped by {stop.reason} ({what}); run again to go on")
            on_progress(what, done, total)

        yield Session(request, options, device, progress)
