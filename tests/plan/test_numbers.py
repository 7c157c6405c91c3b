"""The plan computes what the module computes, in float64."""

import pytest
import timm
import torch
from torch.utils import _pytree as pytree

from hrnet_fast import create_model, list_models
from hrnet_fast.engine.executors.reference import ReferenceExecutor
from hrnet_fast.engine.verify import FLOAT64
from hrnet_fast.models import BasicBlock, Bottleneck, HighResolutionModule
from hrnet_fast.plan import make_plan, named_tensors
from tests.exact import assert_exact
from tests.golden import MODELS, fill, golden, golden_error, golden_input
from tests.models.test_models import OPTIONS
from tests.networks import SMALL
from tests.plan.origins import ForeignModule
from tests.plan.small import assert_planned


def play(model, *inputs):
    """(results of the plan in float64, results of the module)."""
    fill(model.double())
    plan = make_plan(model.train(), *inputs)  # training mode must not matter
    given = pytree.tree_map(torch.clone, inputs)
    with torch.inference_mode():
        executor = ReferenceExecutor(named_tensors(model), torch.float64)
        results = executor.run(plan, pytree.tree_leaves(inputs))
        expected = pytree.tree_leaves(model.eval()(*given))
    return results, expected


@pytest.mark.parametrize("name", list_models(f"{SMALL}.*") + ["hrnet_w8.cls_ci_in1k", "hrnet_w8.cls_cii_in1k"])
def test_every_head(name):
    assert_exact(*play(create_model(name), torch.randn(2, 3, 64, 96, dtype=torch.float64)))


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(f"{k}={v}" for k, v in o.items()))
def test_every_option(options):
    model = create_model("hrnet_w18_small_v2.pose_coco_256x192", **options)
    assert_exact(*play(model, torch.randn(1, 3, 64, 64, dtype=torch.float64)))


@pytest.mark.parametrize("name", [f"{SMALL}.seg_lip", f"{SMALL}.seg_ocr_lip", "hrnet_w12.landmark_cofw"])
@pytest.mark.parametrize("size", [(65, 97), (33, 35), (17, 64)])
def test_odd_sizes(name, size):
    assert_exact(*play(create_model(name), torch.randn(1, 3, *size, dtype=torch.float64)))


@pytest.mark.parametrize(
    "run", [lambda net, x: net.norm(net.c(x).relu()), lambda net, x: net.norm(net.norm(net.c(x)))], ids=["relu", "norm"]
)
def test_a_norm_after_more_than_a_convolution(run):
    assert_planned(run, torch.randn(2, 3, 9, 7))


def test_bottleneck_branches():
    assert_exact(*play(create_model("hrnet_w12.cls_bottleneck_in1k"), torch.randn(1, 3, 64, 64, dtype=torch.float64)))


@pytest.mark.parametrize("name", ["cls_w18_small_v1", "landmark_w18_300w"])
def test_golden_outputs_of_the_official_code(name):
    data = golden(name)
    results, _ = play(create_model(MODELS[name]), golden_input(data))
    assert all(golden_error(data, index, result) <= FLOAT64 for index, result in enumerate(results))


@pytest.mark.parametrize("options", [{}, {"features_only": True}], ids=["classifier", "features_only"])
def test_timm(options):
    assert_exact(*play(timm.create_model(SMALL, **options), torch.randn(1, 3, 64, 96, dtype=torch.float64)))


def maps(widths, height, width):
    return [torch.randn(2, c, height >> b, width >> b, dtype=torch.float64) for b, c in enumerate(widths)]


@pytest.mark.parametrize("manner", ["pose", "segmentation", "openmmlab"])
def test_modules_in_the_manner_of_other_code_bases(manner):
    assert_exact(*play(ForeignModule([5, 10, 20], manner), maps([5, 10, 20], 16, 24)))


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
@pytest.mark.parametrize("several", [True, False], ids=["all-outputs", "first-output"])
def test_one_module_alone(block, several):
    widths = [8, 16, 32]
    module = HighResolutionModule(3, block, [1, 2, 1], widths, [c // block.expansion for c in widths], "SUM", several)
    assert_exact(*play(module, maps(widths, 8, 12)))


def test_numbers_of_the_shape_of_constants_and_parameters():
    def run(net, x):
        y, made = net.c(x), torch.zeros_like(torch.arange(7.0))
        made[1:] = 2
        return y * made + torch.ones_like(net.c.bias)[:, None, None] * net.c.bias.new_full((1,), 3.0)

    assert_planned(run, torch.randn(2, 3, 9, 7))
