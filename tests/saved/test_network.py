"""A saved network computes what the module did, by the same functions, without that module's code."""

import copy
import gc
import pickle
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hrnet_fast import load, optimize, verify
from hrnet_fast.plan import PlanError, make_plan
from tests.engine.random_networks import RandomNetwork
from tests.golden import fill
from tests.networks import small_net
from tests.saved.round_trips import equal, round_trip, timm_model

NETWORKS = {
    "pose": lambda: small_net("pose_coco_256x192"),
    "bottom_up": lambda: small_net("pose_higher_coco_512x512"),
    "ocr": lambda: small_net("seg_ocr_cityscapes"),
    "classification": lambda: small_net("cls_in1k"),
    "timm": timm_model,
    "timm_features": lambda: timm_model(features_only=True),
}


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_a_loaded_network_is_the_saved_one(name, path):
    model = NETWORKS[name]().eval()
    fast = round_trip(model, path, (1, 3, 64, 64))
    x = torch.randn(3, 3, 64, 64)  # another batch than it was saved with
    assert equal(fast.original(x), model(x))
    assert fast.plan_for(x).digest == optimize(model, example=x).plan_for(x).digest
    assert verify(model, fast, x).passed
    assert list(fast.state_dict()) == list(model.state_dict())
    assert equal(dict(fast.state_dict()), dict(model.state_dict()))
    assert [name for name, _ in fast.named_parameters()] == [name for name, _ in model.named_parameters()]


@torch.no_grad()
def test_random_networks_come_back(path):
    tested = 0
    for seed in range(300, 330):
        drawn = RandomNetwork(seed)
        model = drawn.build()
        try:
            optimize(model, executor="reference", example=tuple(drawn.inputs()))
        except PlanError:
            continue
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "the network is saved for inputs of")
            fast = round_trip(model, path, tuple(drawn.inputs()), executor="reference")
        assert equal(fast.original(*drawn.inputs()), model(*drawn.inputs())), drawn
        tested += 1
    assert tested >= 25


class Positions(nn.Module):
    """A head with constants, labels, a tied weight, a hidden buffer and results by name."""

    def __init__(self):
        super().__init__()
        self.stem, self.again = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(3, 6, 3, padding=1)
        self.again.weight = self.stem.weight
        self.norm = nn.BatchNorm2d(6)
        self.up = nn.ConvTranspose2d(6, 4, 4, 2, 1)
        self.register_buffer("scale", torch.rand(6, 1, 1) + 0.5, persistent=False)

    def forward(self, x, other=None):
        y = self.norm(self.stem(x) + self.again(x)) * self.scale
        y = self.up(y + torch.arange(y.shape[3], device=x.device).to(y) / y.shape[3])
        places = y.flatten(2).argmax(2)
        return {"map": y, "places": places, "rows": [places // y.shape[3], None], "batch": y.view(y.shape[0], -1)}


@torch.no_grad()
def test_constants_labels_tied_weights_and_hidden_buffers_come_back(path):
    model = fill(Positions()).eval()
    fast = round_trip(model, path, (torch.rand(2, 3, 8, 12), None))
    x = torch.randn(5, 3, 8, 12)
    assert equal(fast.original(x, None), model(x)) and verify(model, fast, x, None).passed
    assert list(fast.state_dict()) == list(model.state_dict())
    assert fast.original.stem.weight is fast.original.again.weight
    for twin in (copy.deepcopy(fast), pickle.loads(pickle.dumps(fast))):
        assert equal(twin.original(x, None), model(x)) and equal(twin(x, None), fast(x, None))
    assert equal(list(fast.buffers()), list(model.buffers()))


class Named(nn.Module):
    """Has a layer, a weight and a buffer of any names."""

    def __init__(self, name):
        super().__init__()
        self.name = name
        setattr(self, name, nn.Conv2d(3, 4, 3))
        self.inside = nn.Module()
        self.inside._parameters[name] = nn.Parameter(torch.rand(4, 1, 1))  # which torch's own ways refuse
        self.beside = nn.Module()
        self.beside._buffers[name] = torch.rand(4, 1, 1)

    def forward(self, x):
        y = self._modules[self.name](x)
        return y * self.inside._parameters[self.name] + self.beside._buffers[self.name]


@pytest.mark.parametrize("name", ["type", "half", "apply", "config", "image_shape", "saved_inputs", "_calls"])
@torch.no_grad()
def test_parts_may_have_the_names_of_what_modules_have_themselves(name, path):
    model, x = Named(name).eval(), torch.randn(2, 3, 8, 8)
    fast = round_trip(model, path, (1, 3, 8, 8))
    assert equal(fast.original(x), model(x)) and verify(model, fast, x).passed
    assert equal(dict(fast.state_dict()), dict(model.state_dict()))
    assert equal(list(fast.parameters()), list(model.parameters()))


class Fixed(nn.Module):
    """All its numbers are buffers."""

    def __init__(self):
        super().__init__()
        self.register_buffer("weight", torch.rand(4, 3, 3, 3))

    def forward(self, x):
        return F.conv2d(x, self.weight) * torch.full((4, 1, 1), 0.1).to(x)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
@torch.no_grad()
def test_a_network_of_buffers_alone_has_their_dtype(dtype, path):
    model, x = Fixed().to(dtype), torch.randn(1, 3, 8, 8).to(dtype)
    fast = round_trip(model, path, x)
    assert fast.dtype == dtype and equal(fast.original(x), model(x)) and verify(model, fast, x).passed


class Seen(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        y = self.conv(x).flatten(2)
        return (y > 0).to(y.dtype) @ y.transpose(1, 2)


@torch.no_grad()
def test_labels_that_meet_maps_take_their_dtype(path):
    model = fill(Seen()).eval()
    fast = round_trip(model, path, (1, 3, 8, 8))
    x = torch.randn(2, 3, 8, 8)
    assert equal(fast.original(x), model(x))
    assert equal(copy.deepcopy(fast.original).double()(x.double()), copy.deepcopy(model).double()(x.double()))


@torch.no_grad()
def test_weights_keep_their_dtype_and_a_network_may_run_in_another(pose, path):
    model = copy.deepcopy(pose).bfloat16()
    fast = round_trip(model, path, (1, 3, 64, 64))
    x = torch.randn(1, 3, 64, 64)
    assert fast.dtype == torch.bfloat16 and equal(fast.original(x.bfloat16()), model(x.bfloat16()))
    assert load(path, dtype=torch.float64).dtype == torch.float64


class Waves(nn.Conv2d):
    def forward(self, x):
        y = super().forward(x)
        waves = torch.zeros(y.shape[-1])
        waves[::2] = torch.arange(y.shape[-1] / 2).sin()
        waves += 1
        return y + waves.fill_(2.0) * self.bias.clone().mul_(3.0).view(-1, 1, 1)


def test_saved_again_it_is_the_same_plan(path):
    model = fill(Waves(3, 4, 1)).eval()
    for _ in range(2):
        fast = round_trip(model, path, (1, 3, 8, 8))
        assert fast.plan_for(torch.zeros(1, 3, 8, 8)).digest == make_plan(model, torch.zeros(1, 3, 8, 8)).digest
        model = fast


def test_a_loaded_network_is_an_optimized_one_like_others(pose, path):
    fast = round_trip(pose, path, (1, 3, 64, 64))
    x = torch.randn(2, 3, 64, 64)
    expected = fast(x)
    assert torch.equal(pickle.loads(pickle.dumps(fast))(x), expected)
    assert torch.equal(copy.deepcopy(fast)(x), expected)
    assert torch.equal(round_trip(fast, path, (1, 3, 64, 64))(x), expected)  # saved once more
    own = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(pose(own).square().sum(), own)
    other = x.clone().requires_grad_()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert torch.equal(torch.autograd.grad(fast(other).square().sum(), other)[0], gradient)
    fast.load_state_dict({key: torch.zeros_like(value) for key, value in pose.state_dict().items()})
    assert not fast(x).any()


def test_a_network_takes_the_place_of_the_saved_one_only_after_it(pose, path):
    x = torch.randn(1, 3, 64, 64)
    own = copy.deepcopy(pose)
    fast = optimize(own, example=x)
    expected = fast(x)
    program = torch.export.export(Around(fast), (x,))
    again = round_trip(fast, path, (1, 3, 64, 64), dtype=torch.bfloat16)
    assert torch.equal(program.module()(x), expected)
    del again
    assert torch.equal(program.module()(x), expected)
    again = load(path, executor="reference")
    program_of_it = torch.export.export(Around(again), (x,))
    with torch.no_grad():
        own.final_layer.weight.zero_()
        own.final_layer.bias.zero_()
    fast.refresh()
    assert not program.module()(x).any() and program_of_it.module()(x).any()
    del fast
    gc.collect()
    assert torch.equal(program.module()(x), again(x))


class Around(nn.Module):
    def __init__(self, fast):
        super().__init__()
        self.run = lambda x: fast(x)

    def forward(self, x):
        return self.run(x)


def hide_the_bias(module, state, prefix, metadata):
    del state[f"{prefix}conv.bias"]


class Hiding(nn.Module):
    """Has more in its state than tensors, and does not show one of these."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 1)
        self.register_state_dict_post_hook(hide_the_bias)

    def get_extra_state(self):
        return {"epoch": 3}

    def forward(self, x):
        return self.conv(x)


def test_what_a_module_adds_to_its_state_and_hides_of_it_spoils_no_file(path):
    model, x = Hiding(), torch.randn(1, 3, 8, 8)
    fast = round_trip(model, path, x)
    assert verify(model, fast, x).passed and list(fast.state_dict()) == ["conv.weight", "conv.bias"]
