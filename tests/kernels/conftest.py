"""Memory that an op is given uninitialised is NaN, so that an element which a kernel forgets shows."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _poisoned_memory():
    # here only: in this mode oneDNN takes other, far slower convolutions, which are not those that users run
    torch.use_deterministic_algorithms(True, warn_only=True)
    assert torch.utils.deterministic.fill_uninitialized_memory
    yield
    torch.use_deterministic_algorithms(False)
