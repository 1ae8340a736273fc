"""The network of the specification in plain torch, one operation after the other: the oracle of ours.

outputs()    what the network gives with these factors of dropout
draws()      many of them, with torch's own dropout
"""

import numpy as np
import torch
from torch.nn import functional as F

from astra.pipelines.astronn_dist.network.bcnn import NO_DROPOUT, ApogeeDistBCNN, Dropout
from astra.pipelines.astronn_dist.network.dropout import DROPOUT_RATE, LAYERS


def outputs(
    network: ApogeeDistBCNN, flux: torch.Tensor, dropout: Dropout = NO_DROPOUT
) -> tuple[torch.Tensor, torch.Tensor]:
    """Output and log-variance of each spectrum, from the parameters of the network alone."""
    x = (flux - network.input_mean)[:, None, :]
    x = F.relu(F.conv1d(F.pad(x, (3, 4)), network.conv1.weight, network.conv1.bias))
    if torch.is_tensor(dropout.conv1):
        x = x * dropout.conv1.transpose(1, 2)
    x = F.relu(F.conv1d(F.pad(x, (3, 4)), network.conv2.weight, network.conv2.bias))
    x = F.max_pool1d(x, 4).permute(0, 2, 1).reshape(len(x), -1) * dropout.features
    x = F.relu(x @ network.dense_1.weight.T + network.dense_1.bias) * dropout.dense_1
    x = F.relu(x @ network.dense_2.weight.T + network.dense_2.bias)
    output = x @ network.dense_output.weight.T + network.dense_output.bias
    log_variance = x @ network.dense_var.weight.T + network.dense_var.bias
    return torch.log1p(torch.exp(output))[:, 0], log_variance[:, 0]


def draws(
    network: ApogeeDistBCNN, flux: np.ndarray, n_draws: int, rate: float = DROPOUT_RATE
) -> tuple[np.ndarray, np.ndarray]:
    """Outputs and log-variances of one spectrum, float64 of shape (n_draws,)."""
    found = []
    with torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(0)
        spectrum = torch.tensor(flux[None], dtype=torch.float32)
        for _ in range(n_draws // 100):
            ones = (torch.ones(100, *shape) for shape in LAYERS.values())
            factors = Dropout(*(F.dropout(one, rate) for one in ones))
            found.append(torch.stack(outputs(network, spectrum, factors)).double().numpy())
    return tuple(np.concatenate(found, axis=1))
