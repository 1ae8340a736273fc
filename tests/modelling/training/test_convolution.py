"""The fast network is the network."""

import numpy as np
import pytest
import torch
from torch import Tensor

from astra.modelling.training.batches import new_generator, random_bits
from astra.modelling.training.convolution import SIGNED_THRESHOLD, Bits, Workspace, dense_features
from astra.pipelines.astronn_dist.network.bcnn import ApogeeDistBCNN, Dropout
from astra.pipelines.astronn_dist.network.dropout import KEPT


@pytest.fixture
def network() -> ApogeeDistBCNN:
    generator = torch.Generator().manual_seed(1)
    network = ApogeeDistBCNN().double()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1, generator=generator)
    return network


def drawn(n: int, seed: int = 0) -> tuple[Tensor, Bits]:
    """Spectra (n, 7514) and what is dropped."""
    generator = torch.Generator().manual_seed(seed)
    flux = 0.3 * torch.randn(n, 7514, generator=generator, dtype=torch.float64)
    return flux, random_bits(n, new_generator(seed))


def nothing_dropped(bits: Bits) -> Bits:
    """As many bits that keep every unit."""
    return Bits(*(np.full_like(values, -(1 << 15)) for values in bits))


def factors(bits: Bits) -> Dropout:
    """The same as factors for the network."""
    kept = [torch.from_numpy(values < SIGNED_THRESHOLD).double() * float(KEPT) for values in bits]
    return Dropout(kept[0].transpose(1, 2), *kept[1:])


def predict(
    network: ApogeeDistBCNN, flux: Tensor, bits: Bits, workspace: Workspace | None = None
) -> tuple[Tensor, Tensor]:
    """What the two heads make of the features of the fast network."""
    dense = dense_features(network, flux, bits, workspace or Workspace())
    output, log_variance = network.dense_output(dense), network.dense_var(dense)
    return torch.nn.functional.softplus(output).squeeze(1), log_variance.squeeze(1)


def outcome(network: ApogeeDistBCNN, outputs: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    """The outputs, and the gradients of something that depends on each of them."""
    prediction, log_variance = outputs
    loss = ((prediction - 1) ** 2 * torch.exp(-log_variance) + log_variance**2).sum()
    names, parameters = zip(*network.named_parameters(), strict=True)
    gradients = torch.autograd.grad(loss, parameters)
    return {"p": prediction, "s": log_variance, **dict(zip(names, gradients, strict=True))}


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    for name, value in expected.items():
        scale = value.abs().max().item()
        np.testing.assert_allclose(
            found[name].detach(), value.detach(), rtol=1e-9, atol=1e-11 * scale, err_msg=name
        )


@pytest.mark.parametrize("n", [1, 32, 70])
@pytest.mark.parametrize("dropping", [True, False])
def test_outputs_and_gradients_are_those_of_the_network(network, n, dropping):
    flux, bits = drawn(n)
    if not dropping:
        bits = nothing_dropped(bits)
    expected = outcome(network, network.decode(network.encode(flux), factors(bits)))

    found = outcome(network, predict(network, flux, bits))

    assert_same(found, expected)


def test_where_pixels_are_masked_and_many_are_the_largest_the_gradients_are_the_same(network):
    flux, bits = drawn(3)
    bits = nothing_dropped(bits)
    flux[:, 1000:5000] = 0
    expected = outcome(network, network.decode(network.encode(flux), factors(bits)))

    found = outcome(network, predict(network, flux, bits))

    assert_same(found, expected)


def test_memory_that_is_used_again_changes_nothing(network):
    workspace = Workspace()
    for n, seed in ((40, 1), (40, 2), (5, 3), (40, 4)):
        flux, bits = drawn(n, seed)
        fresh = outcome(network, predict(network, flux, bits))

        again = outcome(network, predict(network, flux, bits, workspace))

        for name, value in fresh.items():
            assert torch.equal(again[name], value), name


def test_single_precision_agrees_with_double_to_a_few_rounding_errors(network):
    flux, bits = drawn(40)
    expected = outcome(network, predict(network, flux, bits))

    found = outcome(network.float(), predict(network, flux.float(), bits))

    for name, value in expected.items():
        error = (found[name].double() - value).abs().max() / value.abs().max()
        assert error < 1e-4, name
