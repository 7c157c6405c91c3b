"""The door to networks: names, modules, weights and batches of any size."""

import copy

import pytest
import torch
from torch import nn

import hrnet_fast
from hrnet_fast.numerics import relative_l2, within_tolerance
from hrnet_fast.tasks import network as door
from hrnet_fast.tasks.network import RandomWeightsWarning, open_network
from hrnet_fast.weights.random import fill_weights

POSE = "hrnet_w18_small.pose_coco_256x192"
CLASSES = "hrnet_w18_small.cls_in1k"


@pytest.fixture(scope="module")
def pose():
    with pytest.warns(RandomWeightsWarning, match=f"{POSE} has random weights, so its results mean nothing"):
        return open_network(POSE, task="pose")


def test_a_name_without_weights_gets_the_same_random_ones_everywhere(pose):
    state = fill_weights(hrnet_fast.create_model(POSE)).state_dict()
    assert all(torch.equal(value, state[key]) for key, value in pose.module.state_dict().items())
    assert pose.random_weights and pose.loaded is None and "random weights" in repr(pose)


def test_what_it_says_about_itself(pose):
    assert (pose.name, pose.task, pose.input_size, pose.num_outputs) == (POSE, "pose", (256, 192), 17)
    assert pose.config.head == "pose" and pose.device == torch.device("cpu")


def test_the_official_name_is_that_of_the_unchanged_network(pose, tmp_path):
    assert pose.official_name == POSE
    for changes in ({"num_outputs": 5}, {"input_size": (64, 64)}, {"fusion": "product"}):
        changed = open_network(hrnet_fast.create_model(POSE, **changes), task="pose")
        assert (changed.name, changed.official_name) == (POSE, "")
    for name, changes in (("hrnet_w24.pose_coco_256x192", {}), ("hrnet_w18_small", {"head": "pose", "num_outputs": 5})):
        assert open_network(hrnet_fast.create_model(name, **changes), task="pose").official_name == ""
    hrnet_fast.save(hrnet_fast.create_model(POSE), tmp_path / "own.safetensors", (1, 3, 256, 192))
    assert open_network(tmp_path / "own.safetensors", task="pose").official_name == POSE
    assert open_network(nn.Conv2d(3, 17, 4, 4), task="pose").official_name == ""


@pytest.mark.parametrize("images", [1, 2, 5, 16, 19])
def test_a_batch_is_computed_in_few_shapes(pose, images, monkeypatch):
    x = torch.randn(images, 3, 32, 64)
    pose.module.refresh()
    shapes, prepare = set(), pose.module.executor.prepare
    monkeypatch.setattr(pose.module.executor, "prepare", lambda plan: shapes.add(plan.values[0].shape) or prepare(plan))
    got = pose(x)
    assert shapes <= {(n, 3, 32, 64) for n in door.PIECES}
    exact, plain = (
        copy.deepcopy(pose.module.original).to(dtype)(x.to(dtype)) for dtype in (torch.float64, torch.float32)
    )
    for result in (got, torch.cat([pose(one[None]) for one in x])):  # kernels, and last digits, may differ by the batch
        assert within_tolerance(relative_l2(result, exact), relative_l2(plain, exact))


@pytest.mark.parametrize(
    ("images", "pixels", "pieces"),
    [
        (0, 1, []),
        (1, 1 << 30, [1]),
        (31, 256 * 192, [16, 8, 4, 2, 1]),
        (33, 384 * 288, [16, 16, 1]),
        (5, 512 * 1024, [4, 1]),
        (3, 1024 * 2048, [1, 1, 1]),
    ],
)
def test_pieces_hold_at_most_a_cityscapes_picture(images, pixels, pieces):
    assert door._pieces(images, pixels) == pieces


def test_an_empty_batch_gives_empty_maps(pose):
    assert pose(torch.empty(0, 3, 64, 96)).shape == (0, 17, 16, 24)


def test_ocr_gives_both_outputs_for_any_batch():
    ocr = open_network("hrnet_w18_small.seg_ocr_cityscapes", task="segmentation", input_size=(32, 64))
    for images in (0, 1, 3):
        assert [out.shape for out in ocr(torch.randn(images, 3, 32, 64))] == [(images, 19, 8, 16)] * 2
    assert ocr.num_outputs == 19


def test_weights_of_a_file_are_loaded(tmp_path):
    model = hrnet_fast.create_model(POSE)
    hrnet_fast.save_weights(model, tmp_path / "w.pth", layout="mmpose")
    network = open_network(POSE, tmp_path / "w.pth", task="pose")
    assert hrnet_fast.verify(model, network.module, (1, 3, 64, 64)).passed
    assert not network.random_weights and network.loaded.layout == "mmpose" and "w.pth" in repr(network)


def test_weights_without_the_head_are_refused():
    backbone = hrnet_fast.create_model(CLASSES).state_dict()
    with pytest.raises(ValueError, match=r"final_layer\.weight.* a checkpoint of another task"):
        open_network(POSE, backbone, task="pose")


def test_a_module_is_taken_as_it_is_and_not_changed():
    timm = pytest.importorskip("timm")
    model = timm.create_model("hrnet_w18_small")
    before = copy.deepcopy(model.state_dict())
    network = open_network(model, task="classification")
    assert (network.input_size, network.num_outputs, network.config) == ((224, 224), 1000, None)
    assert not network.random_weights and "its own weights" in repr(network)
    other = {key: value * 2 for key, value in before.items()}
    open_network(model, other, task="classification", input_size=(64, 64))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


class Nests(nn.Conv2d):
    """A network that nests its outputs otherwise than ours."""

    def __init__(self, nest):
        super().__init__(3, 17, 4, 4)
        self.nest = nest

    def forward(self, x):
        return self.nest(super().forward(x))


NESTS = {"list": lambda y: [y], "a tuple with None": lambda y: (y, None), "dict": lambda y: {"maps": y}}


@pytest.mark.parametrize("nest", NESTS.values(), ids=NESTS)
@pytest.mark.parametrize("count", [0, 3])
def test_a_single_output_is_given_alone_however_it_is_nested(nest, count):
    model, plain = Nests(nest), nn.Conv2d(3, 17, 4, 4)
    plain.load_state_dict(model.state_dict())
    nested, alone = (open_network(each, task="pose", input_size=(32, 16)) for each in (model, plain))
    x = torch.randn(count, 3, 32, 16)
    assert torch.equal(nested(x), alone(x)) and len(nested(x)) == count


def test_outputs_without_an_order_are_refused():
    model = Nests(lambda y: {"maps": y, "auxiliary": y})
    with pytest.raises(ValueError, match="Nests gives its 2 outputs in a dict, where none of them is the last"):
        open_network(model, task="segmentation", input_size=(32, 16))


def test_an_optimized_module_keeps_its_dtype():
    fast = hrnet_fast.optimize(hrnet_fast.create_model(CLASSES), dtype=torch.float64, example=torch.empty(1, 3, 32, 32))
    network = open_network(fast, task="classification", input_size=(32, 32))
    assert network.module.dtype == torch.float64 and network.config == fast.original.config


@pytest.mark.parametrize(
    ("model", "task", "error", "part"),
    [
        (POSE, "segmentation", ValueError, "which belongs to pose; segmentation takes .* 'segmentation' or 'ocr'"),
        ("hrnet_w18_small.features", "pose", ValueError, "'features', which no task reads"),
        ("hrnet_w18_small.det_coco", "landmark", ValueError, "'detection', which no task reads"),
        ("hrnet_w18_small.pose", "pose", KeyError, "did you mean"),
        (POSE, "tracking", ValueError, "task 'tracking' is not known"),
        (17, "pose", TypeError, "not int"),
        (nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), "pose", ValueError, "reads one"),
    ],
    ids=["other task", "features", "detection", "unknown name", "unknown task", "no model", "foreign module"],
)
def test_what_does_not_fit_is_refused(model, task, error, part):
    with pytest.raises(error, match=part):
        open_network(model, task=task)


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 1, 64, 64), (1, 64, 64, 3)], ids=str)
def test_images_of_another_shape_are_refused(pose, shape):
    with pytest.raises(ValueError, match=r"images \(N, 3, H, W\), not"):
        pose(torch.zeros(shape))
