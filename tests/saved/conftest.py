"""Where a test saves its network, and one to save."""

import pytest

from tests.networks import small_net


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.safetensors"


@pytest.fixture(scope="module")
def pose():
    return small_net().eval()
