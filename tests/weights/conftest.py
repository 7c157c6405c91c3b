"""What the tests of checkpoints share: networks of every code base (origins.py), refusals, models made anew."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import hrnet_fast.models as models
from hrnet_fast.models import HighResolutionNet
from hrnet_fast.weights import CheckpointError, load_weights
from tests.weights.origins import ORIGINS, OfficialHigher, randomize


@pytest.fixture(autouse=True)
def few_threads():
    torch.set_num_threads(1)


@pytest.fixture(params=list(ORIGINS), ids="-".join)
def origin(request) -> tuple[str, str, nn.Module, HighResolutionNet]:
    """(layout, head, a random model of that code base, ours with other random weights)."""
    theirs, ours = ORIGINS[request.param]()
    return *request.param, randomize(theirs, 1), randomize(ours, 2)


@pytest.fixture
def higher_hrnet() -> nn.Module:
    return randomize(OfficialHigher())


@pytest.fixture(name="randomize")
def randomize_fixture() -> Callable[[nn.Module, int], nn.Module]:
    return randomize


@pytest.fixture
def refused():
    return check_refused


def check_refused(model: nn.Module, source, words: str, **options) -> None:
    """Loading raises one sentence that matches `words` and leaves every bit of the model alone."""
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=words) as error:
        load_weights(model, source, **options)
    assert "\n" not in str(error.value)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.fixture
def make():
    """make("hrnet_w18_small.pose_coco_256x192", seed): a model of ours with random weights and statistics."""
    return lambda name, seed=0, **options: randomize(models.create_model(name, **options), seed)


@pytest.fixture
def same_bits():
    """Asserts that two state dicts hold the same keys, dtypes and bits."""

    def check(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
        assert a.keys() == b.keys()
        for key in a:
            assert a[key].dtype == b[key].dtype, key
            mine, other = (t.contiguous().flatten().view(torch.uint8).reshape(-1) for t in (a[key], b[key]))
            assert torch.equal(mine, other), key

    return check
