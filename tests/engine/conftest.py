import pytest

from hrnet_fast.engine.executors import native


@pytest.fixture
def whole_batches(monkeypatch):
    """Kernels meet the batches that a test gives them, however small the network is."""
    monkeypatch.setattr(native, "images_at_once", lambda *_, **__: 0)
