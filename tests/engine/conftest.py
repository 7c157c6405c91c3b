import pytest
import torch

from hrnet_fast import optimize
from hrnet_fast.engine.executors import native
from tests.engine.larger_models import Larger
from tests.networks import small_net


@pytest.fixture
def whole_batches(monkeypatch):
    """Kernels meet the batches that a test gives them, however small the network is."""
    monkeypatch.setattr(native, "images_at_once", lambda *_, **__: 0)


@pytest.fixture(scope="module")
def pose():
    return small_net()


@pytest.fixture(scope="module")
def larger():
    return Larger(optimize(small_net().eval())).eval()


@pytest.fixture
def fresh_compiler():
    torch.compiler.reset()
