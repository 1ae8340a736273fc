"""Where the network computes: what is asked for if it is there, else an error before any work."""

import pytest
import torch

from astra.errors import ConfigError
from astra.pipelines.astronn_dist.network import sampling
from astra.pipelines.astronn_dist.network.sampling import choose_device


def test_auto_takes_cuda_where_there_is_one(monkeypatch, tmp_path):
    monkeypatch.setattr(sampling, "DRIVERS", (str(tmp_path),))
    for available, device in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda available=available: available)

        assert choose_device("auto") == device
        assert choose_device("cpu") == "cpu"


def test_torch_is_not_asked_where_no_gpu_has_a_driver(monkeypatch, tmp_path):
    monkeypatch.setattr(sampling, "DRIVERS", (str(tmp_path / "none"),))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: pytest.fail("it was asked"))

    assert choose_device("auto") == "cpu"


def test_cuda_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    with pytest.raises(ConfigError, match="device cuda.*--device cpu"):
        choose_device("cuda")
