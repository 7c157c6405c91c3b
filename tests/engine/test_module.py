"""The module a user holds: what it takes and returns, and that the original stays as it is."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn

import hrnet_fast
from hrnet_fast import create_model, optimize, verify
from hrnet_fast.engine import op
from hrnet_fast.engine.prepared import FLOATING
from hrnet_fast.models import BasicBlock, HighResolutionModule
from tests.golden import fill
from tests.networks import SMALL, small_net


def test_module_inside_a_users_model(pose):
    class Mine(nn.Module):
        def __init__(self):
            super().__init__()
            self.stage = HighResolutionModule(2, BasicBlock, [1, 1], [8, 16], [8, 16], "SUM")

    mine = fill(Mine()).eval()
    keys = list(mine.state_dict())
    maps = [torch.randn(1, 8, 8, 8), torch.randn(1, 16, 4, 4)]
    stage, mine.stage = mine.stage, optimize(mine.stage)
    assert list(mine.state_dict()) == keys
    mine.load_state_dict(mine.state_dict())
    assert verify(stage, mine.stage, maps).passed


@pytest.mark.parametrize("dtype", FLOATING, ids=str)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
def test_results_come_in_the_inputs_dtype_and_layout(pose, dtype, layout):
    x = torch.randn(2, 3, 64, 96).to(dtype).contiguous(memory_format=layout)
    y = optimize(pose)(x)
    assert (y.dtype, y.shape) == (dtype, (2, 17, 16, 24))
    assert y.is_contiguous(memory_format=layout)


def test_any_strides_in(pose):
    fast = optimize(pose)
    big = torch.randn(4, 6, 70, 100)
    sliced = big[1:3, ::2, 3:67, 2:98]
    kept = big.clone()
    assert torch.equal(fast(sliced), fast(sliced.contiguous()))
    assert torch.equal(fast(sliced.expand(2, 3, 64, 96)), fast(sliced.contiguous()))
    assert torch.equal(big, kept)


def test_tensors_that_are_negated_lazily(pose):
    x = torch.view_as_complex(torch.randn(1, 3, 64, 64, 2)).conj().imag
    assert x.is_neg()
    fast = optimize(pose.eval())
    assert torch.equal(fast(x), fast(x.resolve_neg()))


def test_results_belong_to_the_caller(pose):
    fast = optimize(pose)
    x = torch.randn(1, 3, 64, 64)
    first = fast(x)
    kept = first.clone()
    fast(torch.randn(1, 3, 64, 64))
    assert torch.equal(first, kept)
    first.add_(1)  # an ordinary tensor, not one of inference mode
    assert torch.equal(fast(x), kept)


def test_results_do_not_depend_on_the_run_or_the_batch(pose):
    fast = optimize(pose)
    x = torch.randn(3, 3, 64, 64)
    assert torch.equal(fast(x), fast(x))
    assert verify(pose, fast, x).passed and verify(pose, fast, x[1:2]).passed


def test_the_original_is_untouched(pose):
    before = {key: (tensor.data_ptr(), tensor._version) for key, tensor in pose.state_dict().items()}
    pose.train()
    fast = optimize(pose, dtype=torch.bfloat16)
    fast(torch.randn(1, 3, 64, 64))
    assert pose.training and all(m.training for m in pose.modules())
    assert {key: (tensor.data_ptr(), tensor._version) for key, tensor in pose.state_dict().items()} == before
    assert not any(isinstance(m, hrnet_fast.OptimizedModule) for m in pose.modules())
    assert len(list(pose.modules())) == len(list(create_model(f"{SMALL}.pose_coco_256x192").modules()))


def test_a_buffer_that_no_state_dict_holds_stays_out():
    model = nn.Sequential(nn.Conv2d(3, 4, 3))
    model.register_buffer("grid", torch.ones(1), persistent=False)
    fast = optimize(model)
    assert list(fast.state_dict()) == list(model.state_dict()) == ["0.weight", "0.bias"]
    fast.register_buffer("other", torch.ones(1), persistent=False)
    assert "other" not in model.state_dict()


def test_keys_and_attributes_are_the_originals(pose):
    fast = optimize(pose)
    assert list(fast.state_dict()) == list(pose.state_dict())
    assert fast.original is pose
    assert fast.conv1 is pose.conv1
    assert [name for name, _ in fast.named_parameters()] == [name for name, _ in pose.named_parameters()]
    assert fast.state_dict()["conv1.weight"].data_ptr() == pose.conv1.weight.data_ptr()


def test_attributes_and_methods_are_the_originals():
    pose = small_net()
    fast = optimize(pose)
    assert fast.config is pose.config and fast.init_weights == pose.init_weights
    assert {"init_weights", "conv1", "refresh", "original"} <= set(dir(fast))
    with pytest.raises(AttributeError, match="'PoseHRNet' object has no attribute 'nothing'"):
        fast.nothing  # noqa: B018
    assert fast.train().training and pose.training and not fast.eval().training and not pose.training


@pytest.mark.parametrize("how", ["pickle", "deepcopy", "torch.save"])
def test_copies_compute_the_same(pose, how):
    fast = optimize(pose, dtype=torch.bfloat16)
    x = torch.randn(1, 3, 64, 64)
    expected = fast(x)
    if how == "pickle":
        copied = pickle.loads(pickle.dumps(fast))
    elif how == "deepcopy":
        copied = copy.deepcopy(fast)
    else:
        file = io.BytesIO()
        torch.save(fast, file)
        file.seek(0)
        copied = torch.load(file, weights_only=False)
    assert copied.original is not pose
    assert torch.equal(copied(x), expected)
    assert copied.dtype == torch.bfloat16


def test_conversion_moves_the_weights_along():
    fast = optimize(small_net())
    fast.double()
    assert fast.dtype == torch.float64
    assert verify(fast.original, fast, torch.randn(1, 3, 64, 64)).passed


def test_inference_mode_works(pose):
    with torch.inference_mode():
        assert optimize(pose)(torch.randn(1, 3, 64, 64)).shape == (1, 17, 16, 16)


@pytest.mark.parametrize("executor", ["auto", "onednn", "reference"])
def test_autocast_changes_nothing(executor):
    """Neither of a call nor of a shape that is planned inside of it; torch plays both layers here."""
    module, x = (
        nn.Sequential(nn.Conv2d(3, 3, 3, groups=3), nn.Flatten(), nn.Linear(48, 5)).eval(),
        torch.randn(2, 3, 6, 6),
    )
    want, fast = optimize(module, executor=executor, example=x)(x), optimize(module, executor=executor, example=x)
    fast.refresh()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(fast(x), want) and torch.equal(fast(x), want)


def test_no_images_and_named_inputs():
    pose = small_net()
    fast = optimize(pose)
    none = fast(torch.randn(0, 3, 64, 64, dtype=torch.float64))
    assert none.shape == (0, 17, 16, 16) and none.dtype == torch.float64
    x = torch.randn(1, 3, 64, 64)
    assert torch.equal(fast(x=x), fast(x))
    with pytest.raises(TypeError, match="missing a required argument: 'x'"):
        fast(y=x)


class Moody(nn.Module):
    """Takes what OpenMMLab's models take."""

    def __init__(self):
        super().__init__()
        self.network = small_net()

    def forward(self, inputs, data_samples=None, mode="tensor", *, scale=1.0):
        return self.network(inputs) if mode == "tensor" else []


def test_named_inputs_that_a_plan_does_not_have_are_refused():
    fast, x = optimize(Moody()), torch.randn(1, 3, 64, 64)
    assert torch.equal(fast(x, data_samples=None, mode="tensor", scale=1.0), fast(x))
    for name, given in {"mode": "predict", "scale": 2.0}.items():
        with pytest.raises(TypeError, match=f"{name}= cannot be given to an optimized network"):
            fast(x, **{name: given})
    with pytest.raises(TypeError, match="inputs must be tensors, or lists of them, not str"):
        fast(x, data_samples="picture.jpg")


class Estimator(nn.Module):
    """Takes annotations too, as mmpose's models do, and None for none."""

    def __init__(self):
        super().__init__()
        self.net = small_net()

    def forward(self, inputs, data_samples, mode="tensor"):
        if data_samples is not None or mode != "tensor":
            raise ValueError("no losses here")
        return self.net(inputs)


def test_none_is_an_input_too(monkeypatch):
    net, x = Estimator().eval(), torch.randn(2, 3, 64, 96)
    fast = optimize(net, example=(x, None))
    report = verify(net, fast, x, None, levels=True)
    assert report.passed, str(report)
    want = fast(x, None)
    assert torch.equal(fast(x, data_samples=None, mode="tensor"), want)
    assert torch.equal(torch.compile(fast, backend="eager", fullgraph=True)(x, None), want)
    assert fast(x[:0], None).shape == (0, *want.shape[1:])
    monkeypatch.setattr(op, "_warned", False)
    with pytest.warns(UserWarning, match="the original"):
        assert fast(x.requires_grad_(), None).requires_grad


def test_no_input_is_refused(pose):
    with pytest.raises(TypeError, match="called without an input"):
        optimize(pose)()


@pytest.mark.parametrize(
    ("given", "error", "sentence"),
    [
        (torch.zeros(1, 3, 64, 64, dtype=torch.uint8), TypeError, r"must be floating point: convert it, e.g. x.float"),
        (torch.tensor(1.0), ValueError, r"\(\): a batch has a dimension for its images"),
        (torch.zeros(3, 64, 64), ValueError, r"\(N, 3, H, W\), not \(3, 64, 64\)"),
        (torch.zeros(1, 1, 64, 64), ValueError, r"\(N, 3, H, W\), not \(1, 1, 64, 64\)"),
        (torch.zeros(1, 3, 100, 64), ValueError, "the next size up is 128x64"),
        (torch.zeros(1, 3, 64, 64, device="meta"), ValueError, "the input is on meta, but the network is on cpu"),
        ("image.jpg", TypeError, "inputs must be tensors, or lists of them, not str"),
    ],
    ids=["uint8", "scalar", "rank", "channels", "size", "device", "type"],
)
def test_inputs_that_are_refused(pose, given, error, sentence):
    with pytest.raises(error, match=sentence):
        optimize(pose)(given)
