"""What every test gets: fixed seeds, an empty cache of measured results, and a share of the cores."""

import os
import random

import numpy as np
import pytest
import torch


@pytest.fixture(autouse=True)
def _seeds():
    random.seed(0)
    np.random.seed(0)
    # torch.manual_seed takes a millisecond where there is no GPU: it notes where it was called from
    torch.default_generator.manual_seed(0)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(0)


@pytest.fixture(autouse=True)
def _threads():
    """A test may set torch's number of threads: it is set back."""
    count = torch.get_num_threads()
    yield
    if torch.get_num_threads() != count:
        torch.set_num_threads(count)


@pytest.fixture(scope="session", autouse=True)
def _empty_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HRNET_FAST_CACHE", str(tmp_path_factory.mktemp("hrnet_fast_cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _few_threads():
    # two find what goes wrong between threads; more, in each of several processes, only wait for each other
    if "PYTEST_XDIST_WORKER" in os.environ:
        torch.set_num_threads(min(2, torch.get_num_threads()))
