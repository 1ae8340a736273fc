"""A training from its request to its files, whatever its examples are made of."""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

import astra
from astra.errors import ConfigError, Interrupted, UsageError
from astra.modelling.training.examples import Examples
from astra.modelling.training.forward import torch_threads
from astra.modelling.training.loop import CHECKPOINT, Epoch, Trained, train
from astra.modelling.training.options import TrainingOptions
from astra.modelling.training.report.data import Columns, Report
from astra.modelling.training.report.writing import report_path, write_report
from astra.modelling.training.work_folder import explained
from astra.pipelines.astronn_dist.network.sampling import choose_device
from astra.pipelines.astronn_dist.weights.files import OURS, Weights, save_weights, sha256_of
from astra.running.ending import StopRequest

log = logging.getLogger("astra")

#: Called with the name of a stage, how much of it is done, and how much there is in all.
Progress = Callable[[str, int, int | None], None]

#: The options of a training that a request may give.
_GIVEN = ("epochs", "batch_size", "learning_rate", "patience")


@dataclass(frozen=True)
class TrainingRequest:
    """One call of ``astra train``; what is ``None`` is up to the recipe."""

    output: Path
    """The file of weights to make, ``.safetensors``."""

    seed: int = 0
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    patience: int | None = None
    device: str = "auto"
    threads: int | None = None
    """Compute threads; ``None`` takes as many as there are cores."""

    work: Path | None = None
    """Folder for examples and checkpoints; ``None`` puts it beside the output."""

    overwrite: bool = False
    """Whether to replace a file that is there."""

    @property
    def folder(self) -> Path:
        """The folder for examples and checkpoints."""
        return self.work or self.output.with_name(f"{self.output.stem}.training")

    def options(self, **of_recipe: Any) -> TrainingOptions:
        """The options in force: those given, else those of the recipe, else the defaults.

        Raises:
            ConfigError: One cannot be.
        """
        given = {name: getattr(self, name) for name in _GIVEN if getattr(self, name) is not None}
        return TrainingOptions(**(of_recipe | given))

    def check(self) -> None:
        """Refuse, before any work, what could not be written at its end.

        Raises:
            UsageError: The file has another suffix, is there already, or cannot be put there.
        """
        if self.output.suffix != OURS:
            raise UsageError(f"--output {self.output}: weights are written as {OURS} only")
        if self.output.is_dir():
            raise UsageError(f"--output {self.output}: a folder; give the name of a file")
        if self.output.exists() and not self.overwrite:
            raise UsageError(f"--output {self.output}: exists; choose another name, or give --overwrite")
        if (report := report_path(self.output)).is_dir():
            raise UsageError(f"--output {self.output}: its report, {report}, is a folder; move it away")
        folder = self.output.absolute().parent
        if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
            raise UsageError(f"--output {self.output}: cannot write in the folder {folder}")


@dataclass(frozen=True)
class Session:
    """A training under way, whatever its examples are made of."""

    request: TrainingRequest
    device: str
    progress: Progress
    """To be called with the progress; ends the work after a signal."""

    @property
    def _checkpoints(self) -> Path:
        """The folder of the state of this seed's training; the examples serve all seeds."""
        return self.request.folder / f"seed-{self.request.seed}"

    def train(self, training: Examples, validation: Examples, options: TrainingOptions) -> Trained:
        """Train, or go on from the checkpoint in the work folder."""
        return train(
            *(training, validation, options, self._checkpoints),
            seed=self.request.seed,
            device=self.device,
            progress=epoch_progress(self.progress),
        )

    def provenance(self, options: TrainingOptions) -> dict[str, Any]:
        """What decides the numbers besides the examples; plain JSON."""
        platform = {"torch": torch.__version__, "device": self.device, "threads": torch.get_num_threads()}
        decided = {"seed": self.request.seed, "version": astra.__version__}
        return decided | {"options": asdict(options) | platform}

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
            details=weights.details,
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
def session(request: TrainingRequest, on_progress: Progress) -> Iterator[Session]:
    """Hold the folder, the device, the threads and the signals of a training.

    Raises:
        UsageError: The output cannot be written.
        ConfigError: There is no such device, or another training uses the folder, or it cannot be made.
        Interrupted: SIGINT or SIGTERM came.
    """
    request.check()
    device = choose_device(request.device)
    with ExitStack() as stack:
        stack.enter_context(_locked(request.folder))
        stack.enter_context(torch_threads(request.threads or torch.get_num_threads()))
        stop = stack.enter_context(StopRequest())

        def progress(what: str, done: int, total: int | None = None) -> None:
            if stop.reason:
                raise Interrupted(f"stopped by {stop.reason} ({what}); run again to go on")
            on_progress(what, done, total)

        yield Session(request, device, progress)


def epoch_progress(progress: Progress) -> Callable[[int, int, Sequence[Epoch]], None]:
    """The ``progress`` of ``loop.train``, which also logs one line for each epoch."""
    logged = None

    def update(step: int, steps: int, history: Sequence[Epoch]) -> None:
        nonlocal logged
        if logged is not None:
            for epoch in history[logged:]:
                log.info(
                    "epoch %d: training %.4f, validation %.4f (%.0f s)",
                    *(epoch.epoch, epoch.training_loss, epoch.validation_nll, epoch.seconds),
                )
        logged = len(history)
        progress("training", step, steps)

    return update


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with explained(folder, ConfigError, "give another --work"):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise ConfigError(
                f"work folder {folder}: another training uses it; wait, or give another --work"
            ) from None
    try:
        yield
    finally:
        lock.release()
