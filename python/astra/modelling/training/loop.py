"""Training: epochs of small steps, from examples to weights.

Adam with one cycle of the learning rate. What is validated after each epoch, and is the result, is an
exponential average of the weights over the last thousand steps or so (Polyak & Juditsky 1992).

Everything random depends on the seed, the epoch and the number of the batch alone. So a training that was
killed goes on from its checkpoint to the same numbers, and two with one seed give the same. A batch is
computed in parts, each in one thread that need not wait for another: where someone else wants the processors
too, the threads within one product of matrices would wait for each other all the time.
"""

import functools
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from astra.errors import ConfigError, Interrupted, StorageError
from astra.modelling.training import checkpoint
from astra.modelling.training.batches import VALIDATION, Batch
from astra.modelling.training.examples import Examples
from astra.modelling.training.forward import PART_SIZE, Forward, compute_threads, network_of
from astra.modelling.training.initial import initial_network
from astra.modelling.training.losses import likelihood
from astra.modelling.training.options import TrainingOptions
from astra.running.ending import StopRequest

CHECKPOINT = "checkpoint.pt"
SECONDS_BETWEEN_CHECKPOINTS = 300

# The validation examples always get the same noise and masks: those of this seed.
VALIDATION_SEED = 1
VALIDATION_DRAWS = 8


@dataclass(frozen=True)
class Epoch:
    """What an epoch came to."""

    epoch: int
    """Its number, from 1."""

    training_loss: float
    """Mean over its examples, with dropout, each with the weights of its time."""

    validation_nll: float
    """Mean negative log-likelihood of the averaged weights, with dropout."""

    median_error: float | None
    """Median |ln(prediction / label)| of the validation examples with a positive label."""

    learning_rate: float
    """Of the last step."""

    seconds: float


@dataclass(frozen=True, eq=False)
class Trained:
    """The result of a training."""

    tensors: dict[str, np.ndarray]
    """float32 arrays as in ``weights.SHAPES``, averaged, of the epoch with the best validation."""

    history: tuple[Epoch, ...]
    """One for each epoch."""

    best_epoch: int
    """Its number, from 1."""

    def summary(self) -> dict[str, Any]:
        """What the file of weights says of the best epoch; plain JSON."""
        best = self.history[self.best_epoch - 1]
        return {
            "best_epoch": self.best_epoch,
            "epochs": len(self.history),
            "training_loss": best.training_loss,
            "validation_loss": best.validation_nll,
        }


#: Called after each batch and each epoch with the steps done, the steps of all epochs, and the epochs done.
Progress = Callable[[int, int, Sequence[Epoch]], None]


def train(
    training: Examples,
    validation: Examples,
    options: TrainingOptions,
    work: Path,
    *,
    seed: int = 0,
    device: str | torch.device = "cpu",
    progress: Progress | None = None,
) -> Trained:
    """Train a network, or go on with a training that was stopped.

    Args:
        training: What it learns from.
        validation: What decides when to stop and which epoch is the best; of other stars.
        options: How to train.
        work: Folder of the checkpoint; made if there is none.
        seed: With the options and the examples, decides the result.
        device: Where to compute.
        progress: Told after each batch and each epoch how far it is.

    Raises:
        ConfigError: Examples or options are of no use, or the checkpoint is not of this training.
        StorageError: The checkpoint cannot be written.
        Interrupted: SIGINT or SIGTERM came; the same call goes on.
    """
    _check(training, validation, options)
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"training folder {work}: {error.strerror}; name another one") from error
    # cuDNN's fastest gradients come out differently each time.
    flags = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
    with StopRequest() as stop, flags, compute_threads() as threads:
        run = _Run(training, validation, options, work / CHECKPOINT, seed, torch.device(device), threads)
        while not run.finished:
            run.train_epoch(stop, progress)
        return run.result()


def _check(training: Examples, validation: Examples, options: TrainingOptions) -> None:
    for name, examples in (("training", training), ("validation", validation)):
        examples.check(name)
        bad = np.count_nonzero(examples.fakemag <= 0)
        if options.loss == "logarithmic" and bad:
            raise ConfigError(f"{name} examples: {bad} labels are not positive; use the linear loss")


class _Run:
    """The state of a training, and what changes it."""

    def __init__(
        self,
        training: Examples,
        validation: Examples,
        options: TrainingOptions,
        path: Path,
        seed: int,
        device: torch.device,
        threads: Executor,
    ) -> None:
        self._options, self._path, self._validation = options, path, validation
        self._threads, self._forward = threads, Forward(device)
        self._batches = self._forward.batches(training, options.batch_size, seed)
        key = [asdict(options), seed, training.digest(), validation.digest()]
        self._fingerprint = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()

        state = checkpoint.load(path, self._fingerprint)
        self._network = initial_network(training, options, seed, state and state["network"]).to(device)
        parameters = self._network.parameters()
        self._optimiser = torch.optim.Adam(parameters, weight_decay=options.weight_decay, fused=True)
        self._average = {name: value.clone() for name, value in self._network.state_dict().items()}
        self._best: dict[str, Tensor] = {}
        self._history: list[Epoch] = []
        # Batches of this epoch done, the sum of their losses, and the time they took.
        self._batch, self._loss, self._seconds = 0, 0.0, 0.0
        if state is not None:
            self._restore(state)

    # > State

    def _restore(self, state: dict[str, Any]) -> None:
        device = self._forward.device
        self._optimiser.load_state_dict(state["optimiser"])
        self._average = {name: value.to(device) for name, value in state["average"].items()}
        self._best = state["best"]
        self._history = [Epoch(**epoch) for epoch in state["history"]]
        self._batch, self._loss, self._seconds = state["position"]

    def _save(self) -> None:
        state = {
            "network": self._network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "average": self._average,
            "best": self._best,
            "history": [asdict(epoch) for epoch in self._history],
            "position": [self._batch, self._loss, self._seconds],
        }
        checkpoint.save(self._path, state, self._fingerprint)

    @property
    def _best_epoch(self) -> int:
        return min(self._history, key=lambda epoch: epoch.validation_nll).epoch

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or patience is at an end."""
        done, options = len(self._history), self._options
        return done > 0 and (done >= options.epochs or done - self._best_epoch >= options.patience)

    def result(self) -> Trained:
        """The averaged weights of the best epoch."""
        tensors = {name: value.cpu().numpy().copy() for name, value in self._best.items()}
        return Trained(tensors, tuple(self._history), self._best_epoch)

    # > Learning

    def train_epoch(self, stop: StopRequest, progress: Progress | None) -> None:
        """The rest of an epoch; the checkpoint follows."""
        epoch, n_batches = len(self._history), len(self._batches)
        n_steps = n_batches * self._options.epochs
        before, started = self._seconds, time.monotonic()
        saved = started
        for parts in self._batches.epoch(epoch, self._batch):
            step = epoch * n_batches + self._batch
            self._loss += self._learn(parts, self._options.rate(step, n_steps), step)
            self._batch += 1
            now = time.monotonic()
            self._seconds = before + now - started
            if stop.reason or now - saved > SECONDS_BETWEEN_CHECKPOINTS:
                self._save()
                saved = now
            self._tell(stop, progress, step + 1, n_steps)
        nll, error = self._validate()
        loss, self._loss, self._batch = self._loss / n_batches, 0.0, 0
        seconds, self._seconds = before + time.monotonic() - started, 0.0
        rate = self._options.rate((epoch + 1) * n_batches - 1, n_steps)
        self._history.append(Epoch(epoch + 1, loss, nll, error, rate, seconds))
        if self._best_epoch == epoch + 1:
            self._best = {name: value.cpu().clone() for name, value in self._average.items()}
        self._save()
        self._tell(stop, progress, (epoch + 1) * n_batches, n_steps)

    def _tell(self, stop: StopRequest, progress: Progress | None, steps: int, n_steps: int) -> None:
        if stop.reason:
            where = f"epoch {-(-steps // len(self._batches))} of {self._options.epochs}"
            raise Interrupted(f"training stopped by {stop.reason} in {where}; run again to go on")
        if progress is not None:
            progress(steps, n_steps, tuple(self._history))

    def _learn(self, parts: list[Batch], rate: float, step: int) -> float:
        """One step; gives the mean loss of the batch before it."""
        options, parameters = self._options, list(self._network.parameters())
        losses, gradients = zip(*self._threads.map(self._gradients, parts), strict=True)
        size = sum(len(part.fakemag) for part in parts)
        for parameter, values in zip(parameters, zip(*gradients, strict=True), strict=True):
            parameter.grad = functools.reduce(Tensor.add_, values).div_(size)
        norm = torch.nn.utils.clip_grad_norm_(parameters, options.largest_gradient)
        if not torch.isfinite(norm):
            raise ConfigError(
                f"training diverged in step {step + 1}; try a learning_rate below {options.learning_rate}"
            )
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._optimiser.step()
        decay = min(options.averaging, (1 + step) / (10 + step))
        with torch.no_grad():
            for name, value in self._network.named_parameters():
                self._average[name].lerp_(value, 1 - decay)
        return sum(losses) / size

    def _gradients(self, part: Batch) -> tuple[float, tuple[Tensor, ...]]:
        """The sum of the losses of a part of a batch, and its gradients."""
        prediction, log_variance = self._forward(self._network, part)
        beta = self._options.beta_in(len(self._history))
        loss = self._likelihood(part, prediction, log_variance, beta).sum()
        return loss.item(), torch.autograd.grad(loss, list(self._network.parameters()))

    def _likelihood(
        self, batch: Batch, prediction: Tensor, log_variance: Tensor, beta: float = 0.0
    ) -> Tensor:
        scale = self._network.labels_std
        labels = [torch.from_numpy(value).to(scale.device) / scale for value in batch[1:3]]
        return likelihood(self._options.loss, prediction, log_variance, *labels, beta)

    def _validate(self) -> tuple[float, float | None]:
        """Mean negative log-likelihood of the draws and median |ln(mean of the draws / label)|.

        With dropout, as the network will be used: without it, the maxima of the pools are those of a map
        with less scatter than the network has ever seen, and its predictions are of no use.
        """
        network = network_of(self._average, self._forward.device)
        batches = self._forward.batches(self._validation, PART_SIZE, VALIDATION_SEED)
        parts = np.array_split(np.arange(len(self._validation)), -(-len(self._validation) // PART_SIZE))

        def evaluate(number: int) -> tuple[Tensor, Tensor]:
            with torch.no_grad():  # of this thread
                draws = []
                for draw in range(VALIDATION_DRAWS):
                    batch = batches.make(parts[number], VALIDATION, number, draw)
                    prediction, log_variance = self._forward(network, batch)
                    nll = self._likelihood(batch, prediction.double(), log_variance.double())
                    draws.append(torch.stack([prediction.double(), nll]))
                return tuple(torch.stack(draws).mean(dim=0))

        results = zip(*self._threads.map(evaluate, range(len(parts))), strict=True)
        prediction, nll = (torch.cat(values).cpu().double().numpy() for values in results)
        prediction *= network.labels_std.item()
        labels = self._validation.fakemag
        positive = labels > 0
        with np.errstate(divide="ignore"):
            errors = np.abs(np.log(prediction[positive] / labels[positive]))
        return float(nll.mean()), float(np.median(errors)) if len(errors) else None
