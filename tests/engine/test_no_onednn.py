"""A torch without oneDNN, as macOS's is: the native kernels play all the same, and plain torch what they do not."""

import pytest
import torch
from torch import nn

from hrnet_fast import create_model, explain, kernels, optimize, verify
from hrnet_fast.engine.executors import fastest_cpu, native
from hrnet_fast.engine.executors.onednn import OneDnnExecutor
from hrnet_fast.kernels.extension import Extension
from hrnet_fast.timing import Timing
from tests.golden import fill

LACKS = "this build of torch has no oneDNN"
needs_native = pytest.mark.skipif(native.unsupported() is not None, reason=str(native.unsupported()))


@pytest.fixture(autouse=True)
def without_onednn(monkeypatch):
    def refuse(self, *arguments, **options):
        raise AssertionError("oneDNN was asked")

    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    monkeypatch.setattr(OneDnnExecutor, "__init__", refuse)


@pytest.fixture
def net():
    return fill(create_model("hrnet_w18_small.pose_coco_256x192")).eval()


@needs_native
@pytest.mark.parametrize("name", ["auto", "native"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_native_kernels_play(net, name, dtype):
    x = torch.randn(1, 3, 64, 64)
    fast = optimize(net, dtype=dtype, example=x, executor=name)
    if not native.is_portable() or name == "native":
        assert {level.executor for level in explain(fast, x).levels} == {"native"}
    assert verify(net, fast, x).passed


@needs_native
def test_portable_kernels_are_timed_beside_plain_torch(net, monkeypatch):
    monkeypatch.setattr(native, "is_portable", lambda: True)
    x = torch.randn(1, 3, 64, 64)
    fast = optimize(net, dtype=torch.float16, example=x)
    level = explain(fast, x).levels[0]
    assert level.executor in ("native", "reference")
    assert "fastest of " in level.reason and "native " in level.reason and "torch " in level.reason
    assert verify(net, fast, x).passed


@needs_native
@pytest.mark.parametrize("winner", ["native", "torch"])
def test_either_of_them_can_win(net, monkeypatch, winner):
    monkeypatch.setattr(native, "is_portable", lambda: True)
    paces = {"native": 0.2, "torch": 0.2, winner: 0.1}
    monkeypatch.setattr(fastest_cpu, "interleave", lambda calls, **o: {name: Timing([paces[name]]) for name in calls})
    x = torch.randn(1, 3, 64, 64)
    fast = optimize(net, example=x)
    assert explain(fast, x).levels[0].executor == {"native": "native", "torch": "reference"}[winner]
    assert verify(net, fast, x).passed


@needs_native
def test_what_does_not_suit_the_native_kernels_is_played_by_torch_and_says_why():
    net, x = nn.Sequential(nn.Conv2d(12, 12, 3, padding=1, groups=4), nn.ReLU()), torch.randn(1, 12, 12, 12)
    fast = optimize(net, example=x, executor="native")
    level = explain(fast, x).levels[0]
    assert level.executor == "reference"
    assert level.reason.startswith("the native kernels were refused, as ") and level.reason.endswith(f", and {LACKS}")
    assert verify(net, fast, x).passed


def test_without_both_plain_torch_plays_and_says_why(net, monkeypatch):
    monkeypatch.setattr(kernels, "extension", lambda: Extension(None, "none", "nothing was built", {}))
    level = explain(net).levels[0]
    assert (level.executor, level.reason) == ("reference", f"{LACKS}; nothing was built")
    for name, why in (("onednn", LACKS), ("native", "nothing was built")):
        with pytest.raises(RuntimeError, match=f"executor='{name}' cannot be used: {why}"):
            optimize(net, executor=name)


def test_other_dtypes_are_played_by_torch(net):
    level = explain(net.double()).levels[0]
    assert (level.executor, level.reason) == ("reference", "oneDNN has no float64 convolutions")
