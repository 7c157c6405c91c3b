"""Ops allocate in C++, where torch's deterministic mode alone reaches: with it at::empty gives NaN."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _poisoned_memory():
    torch.use_deterministic_algorithms(True, warn_only=True)
    assert torch.utils.deterministic.fill_uninitialized_memory
    yield
    torch.use_deterministic_algorithms(False)
