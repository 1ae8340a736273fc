"""Small sets of examples in which the pseudo-luminosity can be read off the spectrum."""

from collections.abc import Callable

import numpy as np
import pytest

from astra.modelling.training.examples import Examples

N_PIXELS = 7514


@pytest.fixture(scope="session")
def make_examples() -> Callable[..., Examples]:
    """A maker of N examples: two patterns of lines, whose strengths say what ln fakemag is."""
    patterns = np.random.default_rng(0).standard_normal((2, N_PIXELS)) * 0.05

    def make(
        n: int, seed: int = 0, *, noise: float = 0.0, masked: float = 0.0, e_fakemag: float = 0.0
    ) -> Examples:
        generator = np.random.default_rng(seed)
        strengths = generator.uniform(-1, 1, (n, 2))
        fakemag = np.exp(4 + strengths @ [1.5, 0.5]) + e_fakemag * generator.standard_normal(n)
        return Examples(
            flux=(strengths @ patterns).astype(np.float16),
            fakemag=fakemag.astype(np.float32),
            e_fakemag=np.full(n, e_fakemag, np.float32),
            star=np.arange(n),
            kind=np.full(n, "rgb"),
            snr=np.full(n, 100, np.float32),
            noise=np.full(n, noise, np.float32),
            masks=np.packbits(generator.random((8, N_PIXELS)) < masked, axis=1) if masked else None,
        )

    return make
