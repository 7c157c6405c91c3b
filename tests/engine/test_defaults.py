"""Torch's default device and dtype are the caller's own: nothing here depends on them."""

import pytest
import torch

from hrnet_fast import explain, optimize, verify
from tests.networks import small_net


@pytest.fixture(params=["device", "float64", "bfloat16"])
def default(request):
    dtype = torch.get_default_dtype()
    if request.param == "device":
        torch.set_default_device("meta")
    else:
        torch.set_default_dtype(getattr(torch, request.param))
    yield
    torch.set_default_device(None)
    torch.set_default_dtype(dtype)


@pytest.fixture(scope="module")
def pose():
    return small_net().eval()


@pytest.fixture(scope="module")
def image():
    return torch.randn(1, 3, 64, 64)


@pytest.fixture(scope="module")
def expected(pose, image):
    return {how: play(pose, image, *how) for how in HOW}


HOW = [("native", torch.float32), ("native", torch.bfloat16), ("onednn", torch.float32), ("reference", torch.float64)]


def play(pose, image, executor, dtype):
    return optimize(pose, executor=executor, dtype=dtype)(image)


@pytest.mark.parametrize("how", HOW, ids=str)
def test_networks(how, pose, image, expected, default):
    assert torch.equal(play(pose, image, *how), expected[how])


def test_reports(pose, image, default):
    fast = optimize(pose)
    assert verify(pose, fast, image).passed
    assert "conv1" in str(explain(fast))
