"""What every test gets: fixed seeds, and NaN in all memory that torch hands out uninitialised."""

import random

import numpy as np
import pytest
import torch


@pytest.fixture(autouse=True)
def _seeds():
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _poisoned_memory():
    """A kernel that forgets an element then returns NaN there, instead of what happened to be right."""
    torch.use_deterministic_algorithms(True, warn_only=True)  # with this, torch.empty and at::empty are filled with NaN
    assert torch.utils.deterministic.fill_uninitialized_memory
    yield
    torch.use_deterministic_algorithms(False)
