import pytest

from hrnet_fast.engine.executors import native
from tests.networks import small_net


@pytest.fixture
def whole_batches(monkeypatch):
    """Kernels meet the batches that a test gives them, however small the network is."""
    monkeypatch.setattr(native, "images_at_once", lambda *_, **__: 0)


@pytest.fixture(scope="module")
def pose():
    return small_net()
