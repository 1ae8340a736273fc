"""Training: epochs of small steps, from examples to weights.

Adam with one cycle of the learning rate. What is validated after each epoch, and is the result, is an
exponential average of the weights over the last thousand steps or so (Polyak & Juditsky 1992, SIAM J. Control
Optim. 30, 838).

Everything random depends on the seed, the epoch and the number of the batch alone. So a training that was
killed goes on from its checkpoint to the same numbers, and two with one seed give the same. A batch is
computed in parts, each in one thread that need not wait for another: where other programs use the processors
too, the threads within one product of matrices would wait for each other all the time.
"""

import functools
import hashlib
import json
import logging
import time
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from astra.errors import ConfigError, Interrupted, StorageError
from astra.modelling.training.batches import VALIDATION, Batch
from astra.modelling.training.examples import Examples, Progress
from astra.modelling.training.losses import likelihood
from astra.modelling.training.network import PART_SIZE, Forward, compute_threads, initial_network, network_of
from astra.modelling.training.request import TrainingOptions
from astra.modelling.training.work_folder import explained, load_checkpoint, save_checkpoint
from astra.running.ending import StopRequest

log = logging.getLogger("astra")

CHECKPOINT = "checkpoint.pt"
SECONDS_BETWEEN_CHECKPOINTS = 300

# The validation examples always get the same noise and masks: those of this seed.
VALIDATION_SEED = 1
VALIDATION_DRAWS = 8


@dataclass(frozen=True)
class Epoch:
    """How an epoch went."""

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


def train(
    training: Examples,
    validation: Examples,
    options: TrainingOptions,
    work: Path,
    *,
    seed: int = 0,
    device: str | torch.device = "cpu",
    progress: Progress = lambda done, total: None,
) -> Trained:
    """Train a network, or go on with a training that was stopped.

    Args:
        training: What it learns from.
        validation: What decides when to stop and which epoch is the best; of other stars.
        options: How to train.
        work: Folder of the checkpoint; created if it does not exist.
        seed: With the options and the examples, decides the result.
        device: Where to compute.
        progress: Called after each batch and each epoch with the steps done and those of all epochs.

    Raises:
        ConfigError: Examples or options cannot be used, or the checkpoint is of another training.
        StorageError: The checkpoint cannot be written.
        Interrupted: SIGINT or SIGTERM came; the same call goes on.
    """
    for name, examples in (("training", training), ("validation", validation)):
        examples.check(name)
        if options.loss == "logarithmic" and (bad := np.count_nonzero(examples.fakemag <= 0)):
            raise ConfigError(f"{name} examples: {bad} labels are not positive; use the linear loss")
    with explained(work, StorageError, "name another one"):
        work.mkdir(parents=True, exist_ok=True)
    # cuDNN's fastest gradients come out differently each time.
    flags = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
    with StopRequest() as stop, flags, compute_threads() as threads:
        run = _Run(training, validation, options, work / CHECKPOINT, seed, Forward(device), threads)
        while not run.finished:
            run.train_epoch(stop, progress)
        return run.result()


@dataclass(eq=False)
class _Run:
    """The state of a training, and what changes it."""

    training: Examples
    validation: Examples
    options: TrainingOptions
    path: Path
    seed: int
    forward: Forward
    threads: Executor

    def __post_init__(self) -> None:
        options, device = self.options, self.forward.device
        self._batches = self.forward.batches(self.training, options.batch_size, self.seed)
        key = [asdict(options), self.seed, self.training.digest(), self.validation.digest()]
        self._fingerprint = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
        state = load_checkpoint(self.path, self._fingerprint) or {}
        if state:
            self._network = network_of(state["network"], device)
        else:
            self._network = initial_network(self.training, options.loss, self.seed).to(device)
        parameters = self._network.parameters()
        self._optimiser = torch.optim.Adam(parameters, weight_decay=options.weight_decay, fused=True)
        if state:
            self._optimiser.load_state_dict(state["optimiser"])
        average = state.get("average", self._network.state_dict())
        self._average = {name: value.to(device, copy=True) for name, value in average.items()}
        self._best: dict[str, Tensor] = state.get("best", {})
        self._history = [Epoch(**epoch) for epoch in state.get("history", [])]
        # Batches of this epoch done, the sum of their losses, and the time they took.
        self._batch, self._loss, self._seconds = state.get("position", (0, 0.0, 0.0))

    def _save(self) -> None:
        state = {
            "network": self._network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "average": self._average,
            "best": self._best,
            "history": [asdict(epoch) for epoch in self._history],
            "position": [self._batch, self._loss, self._seconds],
        }
        save_checkpoint(self.path, state, self._fingerprint)

    @property
    def _best_epoch(self) -> int:
        return min(self._history, key=lambda epoch: epoch.validation_nll).epoch

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or validation has not improved for too long."""
        done, options = len(self._history), self.options
        return done > 0 and (done >= options.epochs or done - self._best_epoch >= options.patience)

    def result(self) -> Trained:
        """The averaged weights of the best epoch."""
        tensors = {name: value.cpu().numpy().copy() for name, value in self._best.items()}
        return Trained(tensors, tuple(self._history), self._best_epoch)

    def train_epoch(self, stop: StopRequest, progress: Progress) -> None:
        """Do the rest of an epoch, and save the checkpoint."""
        epoch, n_batches = len(self._history), len(self._batches)
        n_steps = n_batches * self.options.epochs
        before, started = self._seconds, time.monotonic()
        saved = started
        for parts in self._batches.epoch(epoch, self._batch):
            step = epoch * n_batches + self._batch
            self._loss += self._learn(parts, self.options.rate(step, n_steps), step)
            self._batch += 1
            now = time.monotonic()
            self._seconds = before + now - started
            if stop.reason or now - saved > SECONDS_BETWEEN_CHECKPOINTS:
                self._save()
                saved = now
            self._report(stop, progress, step + 1, n_steps)
        nll, error = self._validate()
        loss, self._loss, self._batch = self._loss / n_batches, 0.0, 0
        seconds, self._seconds = before + time.monotonic() - started, 0.0
        rate = self.options.rate((epoch + 1) * n_batches - 1, n_steps)
        self._history.append(Epoch(epoch + 1, loss, nll, error, rate, seconds))
        if self._best_epoch == epoch + 1:
            self._best = {name: value.cpu().clone() for name, value in self._average.items()}
        self._save()
        epochs = self.options.epochs
        remaining = (epochs - epoch - 1) * seconds / 60
        log.info(
            "epoch %d of %d: training %.4f, validation %.4f (%.0f s)%s",
            *(epoch + 1, epochs, loss, nll, seconds),
            f"; at most {remaining:.1f} min left" if remaining else "",
        )
        self._report(stop, progress, (epoch + 1) * n_batches, n_steps)

    def _report(self, stop: StopRequest, progress: Progress, steps: int, n_steps: int) -> None:
        if stop.reason:
            where = f"epoch {-(-steps // len(self._batches))} of {self.options.epochs}"
            raise Interrupted(f"training stopped by {stop.reason} in {where}; run again to go on")
        progress(steps, n_steps)

    def _learn(self, parts: list[Batch], rate: float, step: int) -> float:
        """Take one step; returns the mean loss of the batch before it."""
        options, parameters = self.options, list(self._network.parameters())
        losses, gradients = zip(*self.threads.map(self._gradients, parts), strict=True)
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
        # Shorter at first: the random weights of the start must not stay in the average.
        decay = min(options.averaging, (1 + step) / (10 + step))
        with torch.no_grad():
            for name, value in self._network.named_parameters():
                self._average[name].lerp_(value, 1 - decay)
        return sum(losses) / size

    def _gradients(self, part: Batch) -> tuple[float, tuple[Tensor, ...]]:
        """The sum of the losses of one part of a batch, and its gradients."""
        beta = self.options.beta_in(len(self._history))
        loss = self._likelihood(part, *self.forward(self._network, part), beta).sum()
        return loss.item(), torch.autograd.grad(loss, list(self._network.parameters()))

    def _likelihood(
        self, batch: Batch, prediction: Tensor, log_variance: Tensor, beta: float = 0.0
    ) -> Tensor:
        scale = self._network.labels_std
        labels = [torch.from_numpy(value).to(scale.device) / scale for value in batch[1:3]]
        return likelihood(self.options.loss, prediction, log_variance, *labels, beta)

    def _validate(self) -> tuple[float, float | None]:
        """Mean negative log-likelihood of the draws and median |ln(mean of the draws / label)|.

        With dropout, as the network will be used: without it, the maxima of the pools are those of a map
        with less scatter than the network has ever seen, and its predictions are wrong.
        """
        network = network_of(self._average, self.forward.device)
        batches = self.forward.batches(self.validation, PART_SIZE, VALIDATION_SEED)
        parts = np.array_split(np.arange(len(self.validation)), -(-len(self.validation) // PART_SIZE))

        def evaluate(number: int) -> tuple[Tensor, Tensor]:
            with torch.no_grad():  # holds in one thread alone
                draws = []
                for draw in range(VALIDATION_DRAWS):
                    batch = batches.make(parts[number], VALIDATION, number, draw)
                    prediction, log_variance = self.forward(network, batch)
                    nll = self._likelihood(batch, prediction.double(), log_variance.double())
                    draws.append(torch.stack([prediction.double(), nll]))
                return tuple(torch.stack(draws).mean(dim=0))

        results = zip(*self.threads.map(evaluate, range(len(parts))), strict=True)
        prediction, nll = (torch.cat(values).cpu().double().numpy() for values in results)
        prediction *= network.labels_std.item()
        labels = self.validation.fakemag
        positive = labels > 0
        with np.errstate(divide="ignore"):
            errors = np.abs(np.log(prediction[positive] / labels[positive]))
        return float(nll.mean()), float(np.median(errors)) if len(errors) else None
