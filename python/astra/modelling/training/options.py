"""What can be chosen about a training, and the learning rate that follows from it."""

import math
from dataclasses import dataclass

from astra.errors import ConfigError
from astra.modelling.training.losses import Loss

# The learning rate starts at this part of its largest value, and ends at a tenth of that.
START = 0.01
END = 0.001


@dataclass(frozen=True)
class TrainingOptions:
    """Options of :func:`~astra.modelling.training.loop.train`; plain JSON."""

    epochs: int = 30
    """How often each example is used, at most."""

    batch_size: int = 128

    learning_rate: float = 1e-3
    """The largest, of Adam."""

    warm_up: float = 0.1
    """Part of all steps in which the learning rate rises; then it falls as a cosine."""

    loss: Loss = "logarithmic"

    beta: float = 0.5
    """See :func:`losses.logarithmic`; in the first half of the epochs, and for that loss alone."""

    averaging: float = 0.999
    """Decay per step of the exponential average of the weights, which is validated and is the result."""

    patience: int = 10
    """Stop after this many epochs without a better validation."""

    weight_decay: float = 0.0
    """L2: half of this times the sum of the squares of the weights is added to the loss."""

    largest_gradient: float = 5.0
    """Norm to which a larger gradient is shortened."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "learning_rate", "patience", "largest_gradient"):
            self._demand(name, getattr(self, name) > 0, "positive")
        for name in ("warm_up", "beta", "averaging"):
            self._demand(name, 0 <= getattr(self, name) < 1, "at least 0 and below 1")
        self._demand("weight_decay", self.weight_decay >= 0, "at least 0")
        self._demand("loss", self.loss in ("logarithmic", "linear"), "logarithmic or linear")

    def _demand(self, name: str, fulfilled: bool, demand: str) -> None:
        if not fulfilled:
            raise ConfigError(f"training option {name}: {getattr(self, name)}; it must be {demand}")

    def rate(self, step: int, n_steps: int) -> float:
        """Learning rate of a step, the first being 0 (one cycle, Smith & Topin 2018, with cosines)."""
        rising = self.warm_up * n_steps
        if step < rising:
            low, part = START, 1 - step / rising
        else:
            low, part = END, (step - rising) / max(1.0, n_steps - rising)
        return self.learning_rate * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * part)))

    def beta_in(self, epoch: int) -> float:
        """Exponent of the weights of an epoch, the first being 0."""
        return self.beta if 2 * epoch < self.epochs else 0.0
