"""Which weights, seeds and versions the rows come from."""

from collections.abc import Sequence
from dataclasses import dataclass

from astra.errors import ConfigError

#: Mixtures that a message lists.
_LISTED = 5


@dataclass(frozen=True)
class Origin:
    """What some of the results come from.

    Attributes:
        weights_name: The name of the weights.
        weights_sha256: Of the weights; ``None`` where the run is not known.
        seed: Of the dropout masks.
        n_draws: How many draws were made.
        precision: The arithmetic of the network.
        version: Major and minor version of Astra: major * 1000 + minor.
        rows: How many results.
    """

    weights_name: str | None
    weights_sha256: str | None
    seed: int | None
    n_draws: int | None
    precision: str | None
    version: int
    rows: int

    @property
    def identity(self) -> tuple:
        """What numbers depend on; the name of the weights is not among it."""
        return (self.weights_sha256, self.seed, self.n_draws, self.precision, self.version)

    def __str__(self) -> str:
        major, minor = divmod(self.version, 1000)
        if self.weights_sha256 is None:
            weights = "unknown weights"
        else:
            weights = f"weights {self.weights_name} (sha256 {self.weights_sha256[:12]})"
        facts = [f"version {major}.{minor}", weights, f"seed {self.seed}", f"{self.n_draws} draws"]
        return ", ".join([*facts, self.precision or "unknown precision"])


def is_mixed(origins: Sequence[Origin]) -> bool:
    """Whether the results cannot be compared with each other without a second thought."""
    return len({origin.identity for origin in origins}) > 1


def refuse_mixture(origins: Sequence[Origin]) -> None:
    """Stop where results of different weights, seeds, draws, precisions or versions would mix.

    Raises:
        ConfigError: They would; it says which, and how many of each.
    """
    if not is_mixed(origins):
        return
    listed = [f"{origin} ({origin.rows:,} rows)" for origin in origins[:_LISTED]]
    more = f"; and {len(origins) - _LISTED} more" if len(origins) > _LISTED else ""
    raise ConfigError(
        f"the results are a mixture: {'; '.join(listed)}{more}. Give --mixed to take all, with columns "
        "that say which is which; or choose with --where by weights_sha256, seed, n_draws, precision, run_pk "
        "or v_astra; or make all anew with `astra run … --overwrite`"
    )
