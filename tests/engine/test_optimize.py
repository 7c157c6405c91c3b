"""optimize: any network, option and dtype within the tolerance, and what it refuses."""

from types import SimpleNamespace

import pytest
import timm
import torch
from torch import nn
from torch.testing._internal.two_tensor import TwoTensor

from hrnet_fast import explain, optimize, verify
from hrnet_fast.engine.executors.onednn import OneDnnExecutor, has_instructions
from hrnet_fast.engine.prepared import FLOATING
from hrnet_fast.models import BasicBlock, HighResolutionModule
from hrnet_fast.plan import PlanError
from tests.golden import fill
from tests.models.test_models import OPTIONS
from tests.networks import SMALL, small_net
from tests.plan.origins import ForeignModule

HEADS = ["pose_coco_256x192", "pose_v1h_coco_256x192", "pose_higher_coco_512x512", "seg_cityscapes", "seg_ocr_lip",
         "landmark_wflw", "cls_in1k", "det_coco", "faster_rcnn_coco", "features"]  # fmt: skip


class Bilinear(nn.Bilinear):
    """Of one map with itself: an operation that the planner does not know."""

    def __init__(self):
        super().__init__(256, 256, 1)

    def forward(self, x):
        return super().forward(x, x)


@pytest.mark.parametrize("tag", HEADS)
def test_every_head_by_onednn(tag):
    model = small_net(tag)
    report = verify(model, optimize(model, executor="onednn"), torch.randn(2, 3, 96, 64))
    assert report.passed, str(report)


@pytest.mark.parametrize("tag", HEADS)
@pytest.mark.parametrize("dtype", FLOATING, ids=str)
def test_every_head_in_every_dtype(tag, dtype):
    model = small_net(tag)
    report = verify(model, optimize(model, dtype=dtype), torch.randn(1, 3, 64, 96))
    assert report.passed, str(report)


@pytest.mark.parametrize("width", [18, 30, 44])
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_widths_that_fit_no_vector(width, batch):
    widths = [width << b for b in range(4)]
    module = fill(HighResolutionModule(4, BasicBlock, [1] * 4, widths, widths, "SUM"))
    report = verify(module, optimize(module), [torch.randn(batch, c, 16 >> b, 8 >> b) for b, c in enumerate(widths)])
    assert report.passed, str(report)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(f"{k}={v}" for k, v in o.items()))
def test_every_option(options):
    model = small_net(**options)
    report = verify(model, optimize(model), torch.randn(1, 3, 64, 64))
    assert report.passed, str(report)


@pytest.mark.parametrize("size", [(65, 97), (33, 35), (17, 64)])
@pytest.mark.parametrize("align_corners", [False, True])
def test_odd_sizes_of_bilinear_models(size, align_corners):
    model = small_net("seg_lip", align_corners=align_corners)
    report = verify(model, optimize(model), torch.randn(1, 3, *size))
    assert report.passed, str(report)


NO_FLOAT16 = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available() or not has_instructions(torch.float16),
    reason="oneDNN has no float16 convolutions for this CPU",
)


@pytest.mark.parametrize("compute", [torch.bfloat16, pytest.param(torch.float16, marks=NO_FLOAT16)], ids=str)
def test_native_half_precision_convolutions(compute):
    """What a machine with AMX runs: oneDNN in the dtype itself."""
    model = small_net()
    fast = optimize(model, dtype=compute)
    fast._prepared.executor = OneDnnExecutor(fast.executor.tensors, compute)
    fast._prepared.programs.clear()
    report = verify(model, fast, torch.randn(2, 3, 64, 64))
    assert report.passed, str(report)


@pytest.mark.parametrize("executor", ["auto", "onednn", "reference"])
def test_timm_goes_through_unchanged(executor):
    model = fill(timm.create_model(SMALL))
    report = verify(model, optimize(model, executor=executor), torch.randn(1, 3, 64, 64))
    assert report.passed, str(report)


@pytest.mark.parametrize("manner", ["pose", "segmentation", "openmmlab"])
def test_one_module_of_another_code_base(manner):
    module = fill(ForeignModule([6, 12, 24], manner))
    fast = optimize(module)
    maps = [torch.randn(1, 6 << b, 16 >> b, 24 >> b) for b in range(3)]
    given = list(maps)
    assert verify(module, fast, maps).passed
    assert isinstance(fast(given), list)
    assert all(a is b for a, b in zip(given, maps))


def test_optimizing_twice_is_optimizing_once(pose):
    assert optimize(optimize(pose)).original is pose


@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.compile], ids=["DataParallel", "torch.compile"])
def test_wrappers_are_looked_through(pose, wrap):
    assert optimize(wrap(pose)).original is pose


def test_torchs_own_signatures_are_not_part_of_an_error():
    with pytest.raises(PlanError, match=r"conv2d\(\) received an invalid combination of arguments - got \(list.*\)$"):
        optimize(nn.Conv2d(3, 8, 3))([torch.randn(1, 3, 64, 64)])


def test_what_is_no_module_is_refused():
    for verb in (optimize, explain):
        with pytest.raises(TypeError, match="takes an nn.Module, not int"):
            verb(3)


@pytest.mark.parametrize("dtype", ["bfloat16", torch.int8, torch.complex64])
def test_dtypes_that_are_refused(pose, dtype):
    with pytest.raises(TypeError, match="it must be one of torch.float64, torch.float32"):
        optimize(pose, dtype=dtype)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize(
    "key", ["stage3.0.fuse_layers.0.1.1.weight", "conv1.weight", "final_layer.bias", "bn1.running_var"]
)
def test_weights_that_are_not_finite_are_named(key, value):
    model = small_net()
    model.state_dict()[key].view(-1)[0] = value
    with pytest.raises(ValueError, match=f"{key!r} holds NaN or Inf"):
        optimize(model)


@pytest.mark.parametrize("norm", [nn.Identity(), nn.BatchNorm2d(4)], ids=["alone", "with a norm"])
def test_weights_whose_sum_overflows_are_still_numbers(norm):
    net = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), norm).double().eval()
    with torch.no_grad():
        net[0].weight.fill_(1e307)
    x = torch.full((1, 3, 4, 4), 1e-300, dtype=torch.float64)
    assert verify(net, optimize(net, example=x), x).passed
    if isinstance(norm, nn.BatchNorm2d):
        norm.weight.data.fill_(1e3)
        with pytest.raises(ValueError, match=r"'0.weight' overflows where the norm of '1.running_var' is folded"):
            optimize(net, example=x)(x)


def test_negative_variance_is_named():
    model = small_net()
    model.bn2.running_var[3] = -1.0
    with pytest.raises(ValueError, match="'bn2.running_var' holds a negative variance"):
        optimize(model)


def test_weights_that_are_sharded_or_quantized_are_named():
    """As FSDP2's and torchao's: tensors made of others, which no kernel reads."""
    model = small_net()
    model.conv2.weight = nn.Parameter(TwoTensor(model.conv2.weight.detach(), model.conv2.weight.detach()))
    with pytest.raises(PlanError, match="'conv2.weight' is a TwoTensor, .* optimize a module of ordinary tensors"):
        optimize(model)


def test_what_optimize_refuses(pose):
    names = "'auto', 'native', 'onednn', 'triton', 'cuda', 'cuda-chains', 'cudnn'"
    with pytest.raises(ValueError, match=f"executor='gpu' is not known; choose one of {names}"):
        optimize(pose, executor="gpu")
    with pytest.raises(RuntimeError, match="executor='onednn' cannot be used: oneDNN has no float64 convolutions"):
        optimize(pose, executor="onednn", dtype=torch.float64)
    with pytest.raises(PlanError, match=r"bilinear is not understood by the planner \(in Bilinear.forward of '1'\)"):
        optimize(nn.Sequential(nn.Conv2d(3, 4, 1), Bilinear()))


@pytest.mark.parametrize("channels", [1, 4])
def test_the_channels_of_the_first_input_are_those_of_the_first_convolution(channels):
    fast = optimize(timm.create_model(SMALL, in_chans=channels))
    fast.plan_for(torch.empty(1, channels, 256, 256))
    assert len(fast._prepared.programs) == 1  # known since it was optimized
    assert explain(fast).values[0].shape == (1, channels, 256, 256)


def test_a_foreign_config_may_call_anything_an_input_size():
    net = nn.Sequential(nn.Conv2d(3, 8, 3))
    net.config = SimpleNamespace(input_size=224)
    assert optimize(net)(torch.randn(1, 3, 64, 64)).shape == (1, 8, 62, 62)


def test_where_no_input_was_given_the_error_says_which_was_taken(pose):
    sentence = r"; the input was taken to be \(1, {}, 256, \d+\): give example= if it is another"
    with pytest.raises(PlanError, match="has 3 branches, but 1 maps were given" + sentence.format(16)):
        optimize(pose.stage3)
    with pytest.raises(PlanError, match=sentence.format(4)):
        explain(nn.Sequential(nn.Conv2d(4, 4, 1), Bilinear()))
    with pytest.raises(PlanError, match=r"in Bilinear.forward of '1'\)$"):
        optimize(nn.Sequential(nn.Conv2d(4, 4, 1), Bilinear()), example=torch.empty(1, 4, 8, 8))


def test_float64_is_played_by_the_reference_and_says_why(pose):
    fast = optimize(pose, dtype=torch.float64)
    level = explain(fast).levels[0]
    assert (level.executor, level.reason) == ("reference", "oneDNN has no float64 convolutions")


def test_explain_takes_models_shapes_and_tensors(pose):
    plan = explain(pose, (2, 3, 64, 96))
    assert plan == explain(optimize(pose), torch.empty(2, 3, 64, 96))
    assert plan.values[plan.inputs[0]].shape == (2, 3, 64, 96)
    assert all(level.executor and level.reason and level.roofline_us > 0 for level in plan.levels)
    assert explain(pose).values[0].shape == (1, 3, 256, 192)


def test_a_submodule_may_be_called_as_an_option():
    class Named(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.exact = torch.nn.Conv2d(3, 4, 3)

        def forward(self, x):
            return self.exact(x)

    model, x = Named().eval(), torch.randn(1, 3, 8, 8)
    assert verify(model, optimize(model), x).passed


def test_a_refused_option_leaves_the_model_alone(pose):
    keys = list(pose.state_dict())
    with pytest.raises((TypeError, ValueError)):
        optimize(pose, executor=torch.nn.Linear(1, 1))
    assert list(pose.state_dict()) == keys
