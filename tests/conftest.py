"""What every test gets: fixed seeds, and an empty cache of measured results."""

import random

import numpy as np
import pytest
import torch


@pytest.fixture(autouse=True)
def _seeds():
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def _empty_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HRNET_FAST_CACHE", str(tmp_path_factory.mktemp("hrnet_fast_cache")))
        yield
