"""What every test gets: fixed seeds, and NaN in the memory that Python asks of torch uninitialised."""

import functools
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
def _poisoned_memory(monkeypatch):
    """A buffer that is read before it is written then gives NaN, instead of what happened to be right.

    torch's deterministic mode would do this in C++ too, but makes oneDNN choose other convolutions: not what users run.
    """
    for name in ("empty", "empty_like", "empty_strided"):
        monkeypatch.setattr(torch, name, _filled_with_nan(getattr(torch, name)))


def _filled_with_nan(allocate):
    @functools.wraps(allocate)
    def poisoned(*args, **kwargs):
        tensor = allocate(*args, **kwargs)
        if type(tensor) is torch.Tensor and tensor.is_floating_point():
            with torch.no_grad():
                tensor.fill_(torch.nan)
        return tensor

    return poisoned
