"""A saved network computes what the module did, by the same functions, without that module's code."""

import collections
import copy
import gc
import pickle
import subprocess
import sys
import textwrap
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils import _pytree as pytree

import hrnet_fast
from hrnet_fast import create_model, load, load_weights, optimize, save, verify
from hrnet_fast.numerics import relative_l2
from hrnet_fast.plan import PlanError, make_plan
from tests.engine.random_networks import RandomNetwork
from tests.golden import fill
from tests.models.test_models import SMALL
from tests.plan.test_adaptive import Keypoints


def timm_model(**options):
    return fill(pytest.importorskip("timm").create_model("hrnet_w18_small", **options))


NETWORKS = {
    "pose": (lambda: fill(create_model(f"{SMALL}.pose_coco_256x192")), 64),
    "bottom_up": (lambda: fill(create_model(f"{SMALL}.pose_higher_coco_512x512")), 64),
    "ocr": (lambda: fill(create_model(f"{SMALL}.seg_ocr_cityscapes")), 64),
    "classification": (lambda: fill(create_model(f"{SMALL}.cls_in1k")), 64),
    "timm": (timm_model, 64),
    "timm_features": (lambda: timm_model(features_only=True), 64),
}


def equal(results, expected) -> bool:
    given, wanted = pytree.tree_flatten(results), pytree.tree_flatten(expected)
    return given[1] == wanted[1] and all(a is b is None or torch.equal(a, b) for a, b in zip(given[0], wanted[0]))


def round_trip(model, path, *examples, **options):
    save(model, path, *examples)
    return load(path, **options)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.safetensors"


@pytest.fixture(scope="module")
def pose():
    return NETWORKS["pose"][0]().eval()


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_a_loaded_network_is_the_saved_one(name, path):
    make, side = NETWORKS[name]
    model = make().eval()
    fast = round_trip(model, path, (1, 3, side, side))
    x = torch.randn(3, 3, side, side)  # another batch than it was saved with
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
        given, expected = (net(*drawn.inputs()) for net in (fast.original, model))
        assert pytree.tree_structure(given) == pytree.tree_structure(expected), drawn
        for one, other in zip(pytree.tree_leaves(given), pytree.tree_leaves(expected)):
            assert one is other is None or relative_l2([one], [other]) < 1e-15, drawn
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
    assert equal(fast.original(x), model(x)) and relative_l2(fast(x), model(x)) < 1e-6
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


@torch.no_grad()
def test_it_takes_each_size_that_it_was_saved_for(pose, path):
    fast = round_trip(optimize(pose), path, torch.rand(1, 3, 64, 96), (2, 3, 32, 32))
    for shape in ((1, 3, 64, 96), (4, 3, 32, 32)):
        x = torch.randn(shape)
        assert equal(fast.original(x), pose(x))
    said = r"was saved for inputs of \(N, 3, 64, 96\), or \(N, 3, 32, 32\), but gets \(1, 3, 64, 64\): .* save it with"
    with pytest.raises(ValueError, match=said):
        fast(torch.randn(1, 3, 64, 64))
    with pytest.raises(ValueError, match="but gets"):
        fast(torch.randn(1, 3, 64, 96), None)


def test_without_an_example_it_takes_the_size_of_its_config(pose, path):
    fast = round_trip(pose, path)
    assert fast.original.config == pose.config
    assert fast(torch.zeros(1, 3, 256, 192)).shape == (1, 17, 64, 48)


class Mixing(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3, 1, 1))

    def forward(self, x):
        return x * self.scale if x.shape[0] == 1 else x - x.mean(0, keepdim=True)


def test_saved_again_it_keeps_all_its_sizes(path, tmp_path):
    hrnet_fast.save(nn.Conv2d(3, 4, 3), path, (1, 3, 8, 8), (1, 3, 6, 9))
    hrnet_fast.save(hrnet_fast.load(path), tmp_path / "again.safetensors")
    again = hrnet_fast.load(tmp_path / "again.safetensors")
    assert again(torch.zeros(2, 3, 6, 9)).shape == (2, 4, 4, 7)


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


class Sum(nn.Conv2d):
    def forward(self, a, b):
        return super().forward(a) + b


def test_an_example_may_be_shapes(path):
    model = Sum(3, 4, 1)
    hrnet_fast.save(model, path, ((1, 3, 8, 8), torch.zeros(1, 4, 1, 1)))
    a, b = torch.randn(2, 3, 8, 8), torch.randn(2, 4, 1, 1)
    assert torch.equal(hrnet_fast.load(path).original(a, b), model(a, b))
    with pytest.raises(TypeError, match="an example holds tensors, shapes .* and None, not a str"):
        hrnet_fast.save(model, path, ((1, 3, 8, 8), "1x4x1x1"))


class UpToEight(nn.Conv2d):
    def forward(self, x):
        return super().forward(x) * min(len(x), 8)


def test_more_images_than_the_example_s_are_looked_at(path):
    with pytest.warns(UserWarning, match=r"saved for inputs of \(8, 3, 8, 8\) alone"):
        hrnet_fast.save(UpToEight(3, 4, 1), path, (8, 3, 8, 8))


class Scaled(nn.Conv2d):
    def forward(self, x):
        return super().forward(x) * self.bias.detach().abs().max().item() * (2 if self.weight[0, 0, 0, 0] > 9 else 1)


def test_numbers_that_a_forward_reads_are_told_of(path):
    with pytest.warns(UserWarning, match="asks for numbers of 'bias', 'weight' when .* are loaded later") as told:
        hrnet_fast.save(Scaled(3, 4, 1), path, (1, 3, 8, 8))
    assert [str(warning.filename) for warning in told] == [__file__]


def test_a_network_that_depends_on_the_batch_is_saved_for_one(path):
    with pytest.warns(
        UserWarning, match=r"saved for inputs of \(2, 3, 8, 8\) alone: its operations depend on the batch"
    ):
        fast = round_trip(Mixing(), path, (2, 3, 8, 8))
    x = torch.randn(2, 3, 8, 8)
    assert equal(fast(x), Mixing()(x))
    with pytest.raises(ValueError, match=r"saved for inputs of \(2, 3, 8, 8\), but gets \(1, 3, 8, 8\)"):
        fast(x[:1])


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


def test_the_file_is_a_checkpoint_too(pose, path):
    save(pose, path, (1, 3, 64, 64))
    other = create_model(f"{SMALL}.pose_coco_256x192")
    load_weights(other, path)
    assert equal(dict(other.state_dict()), dict(pose.state_dict()))


def test_a_task_takes_a_loaded_network(pose, path):
    pytest.importorskip("cv2")
    picture = torch.randint(0, 256, (300, 200, 3), dtype=torch.uint8).numpy()
    (one,), (other,) = (hrnet_fast.PoseEstimator(net)(picture) for net in (pose, round_trip(pose, path)))
    assert one.keypoints.tolist() == other.keypoints.tolist()
    save(pose, path, (1, 3, 64, 64))
    for name in (path, str(path)):
        network = hrnet_fast.PoseEstimator(name).network
        assert network.input_size == (64, 64) and not network.random_weights


PROGRAM = """
    import sys, torch, hrnet_fast
    net, program, x, expected = sys.argv[1:]
    x, expected = torch.load(x), torch.load(expected)
    for name in ("timm", "tests"):
        sys.modules[name] = None  # as if it were not installed
    fast = hrnet_fast.load(net)
    assert torch.equal(fast(x), expected)
    assert torch.equal(torch.export.load(program).module()(x), expected + 1)
"""


class PlusOne(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x) + 1


@torch.no_grad()
def test_another_process_needs_no_code_of_the_model(path, tmp_path):
    fast = optimize(timm_model().eval(), example=torch.empty(1, 3, 64, 64))
    x = torch.randn(2, 3, 64, 64)
    save(fast, path, x)
    torch.export.save(torch.export.export(PlusOne(fast), (x,)), tmp_path / "program.pt2")
    torch.save(x, tmp_path / "x.pt")
    torch.save(fast(x), tmp_path / "expected.pt")
    given = [str(tmp_path / name) for name in ("net.safetensors", "program.pt2", "x.pt", "expected.pt")]
    subprocess.run([sys.executable, "-c", textwrap.dedent(PROGRAM), *given], check=True, timeout=300)


LOAD = """import sys, torch, hrnet_fast
x, expected = map(torch.load, sys.argv[2:])
assert torch.equal(hrnet_fast.load(sys.argv[1])(x), expected)"""


def test_another_process_knows_torchvisions_operation(path, tmp_path):
    model, x = fill(Keypoints()).eval(), torch.randn(2, 3, 14, 18)
    fast = round_trip(model, path, x)
    torch.save(x, tmp_path / "x.pt")
    torch.save(fast(x), tmp_path / "expected.pt")
    given = (path, tmp_path / "x.pt", tmp_path / "expected.pt")
    subprocess.run([sys.executable, "-c", LOAD, *given], check=True, timeout=300)


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
    assert relative_l2(fast(x), model(x)) < 1e-6 and list(fast.state_dict()) == ["conv.weight", "conv.bias"]


def test_what_is_no_list_of_results_is_refused(path):
    class Named(nn.Module):
        def forward(self, x):
            return collections.namedtuple("Output", "map")(x * 2)

    class Paired(nn.Module):
        def forward(self, x):
            return {(0, 1): x * 2}

    with pytest.raises(ValueError, match="Named cannot be saved: the results are nested in a Output"):
        save(Named(), path, (1, 3, 8, 8))
    with pytest.raises(ValueError, match="Paired .* in a dict whose keys are neither text nor whole numbers"):
        save(Paired(), path, (1, 3, 8, 8))
    assert not path.exists()
    with pytest.raises(TypeError, match=r"save takes an nn.Module, not str"):
        save("net", path)


def test_where_it_cannot_be_written_is_told(pose, tmp_path):
    with pytest.raises(hrnet_fast.weights.CheckpointError, match="a network is saved to a .safetensors file"):
        save(pose, tmp_path / "net.pth")
    with pytest.raises(hrnet_fast.weights.CheckpointError, match="cannot write .*no such file or directory"):
        save(pose, tmp_path / "nowhere" / "net.safetensors", (1, 3, 64, 64))
    with pytest.raises(ValueError, match="'gpu' is no device: use cpu, cuda or cuda:1"):
        load(tmp_path / "nothing.safetensors", device="gpu")
    with torch.device("meta"):
        empty = create_model(f"{SMALL}.pose_coco_256x192")
    with pytest.raises(ValueError, match="'conv1.weight' is on the meta device, without numbers to save"):
        save(empty, tmp_path / "net.safetensors", (1, 3, 64, 64))
    assert not list(tmp_path.iterdir())
