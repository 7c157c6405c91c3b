"""The plan as data: launch budgets, the checker, what is refused, and the table."""

import re
from dataclasses import replace

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import nn

from hrnet_fast import create_model, explain
from hrnet_fast.plan import Conv, Level, PlanError, Sum, check, make_plan
from hrnet_fast.plan.cost import Machine, annotate, multiply_adds
from tests.networks import SMALL
from tests.plan.small import Net, assert_planned


def plan_of(name, *shape, **options):
    with torch.device("meta"):
        return make_plan(create_model(name, **options), torch.empty(shape))


@pytest.mark.parametrize("function", [F.conv2d, F.conv_transpose2d], ids=["convolution", "transposed"])
def test_one_number_in_a_list_stands_for_both_axes(function):
    assert_planned(
        lambda net, x: F.relu(function(net.c(x), net.d.weight, stride=(2,), padding=[1])), torch.randn(1, 3, 8, 6)
    )


@pytest.mark.parametrize(("numbers", "words"), [((1, 2, 1), "(1, 2, 1)"), ((), "()")], ids=["three", "none"])
@pytest.mark.parametrize("function", [F.conv2d, F.conv_transpose2d], ids=["convolution", "transposed"])
def test_other_than_one_or_two_numbers_for_the_axes_are_refused(function, numbers, words):
    net = Net(lambda net, x: function(net.c(x), net.d.weight, stride=numbers))
    with pytest.raises(PlanError, match=re.escape(f"{words} is given for the two axes of a map")):
        make_plan(net, torch.empty(1, 3, 8, 6))


def test_a_size_for_one_axis_is_refused_as_by_torch():
    net = Net(lambda net, x: F.interpolate(net.c(x), size=[16]))
    with pytest.raises(ValueError, match="must have the same number of spatial dimensions"):
        make_plan(net, torch.empty(1, 3, 8, 6))


@pytest.fixture(scope="module")
def pose():
    return plan_of("hrnet_w32.pose_coco_256x192", 1, 3, 256, 192)


@pytest.mark.parametrize(
    ("name", "size", "budget"),
    [
        ("hrnet_w32.pose_coco_256x192", (256, 192), 97),
        ("hrnet_w48.pose_coco_384x288", (384, 288), 97),
        ("hrnet_w48.seg_cityscapes", (512, 1024), 99),
        ("hrnet_w18.cls_in1k", (224, 224), 106),
        ("hrnet_w64.cls_in1k", (224, 224), 106),
        ("hrnet_w18.landmark_wflw", (256, 256), 100),
        ("hrnet_w32.det_coco", (256, 256), 101),
        ("hrnet_w48.seg_ocr_cityscapes", (512, 1024), 114),
        ("hrnet_w32.features", (256, 256), 97),
        ("hrnet_w18_small.cls_in1k", (224, 224), 34),
    ],
)
def test_launch_budget(name, size, budget):
    assert len(plan_of(name, 1, 3, *size).levels) <= budget


def test_launch_budget_of_timm():
    with torch.device("meta"):
        assert len(make_plan(timm.create_model("hrnet_w18"), torch.empty(1, 3, 224, 224)).levels) <= 106


def test_pose_w32_is_whole(pose):
    convs = [item for item in pose.items() if isinstance(item, Conv)]
    assert len(convs) == 293
    assert len({item.conv.weight for item in convs}) == 293
    assert all(item.norm is not None for item in convs if item.name != "final_layer")
    # Counting every convolution: 7.65 G, where the paper's table 1 prints 7.10.
    assert round(sum(multiply_adds(item, pose) for item in pose.items()) / 1e9, 2) == 7.65


def test_plans_of_the_same_items_with_other_results_differ():
    def one(net, x):
        return net.d(net.c(x))

    def both(net, x):
        y = net.c(x)
        return y, net.d(y)

    first, second = (make_plan(Net(run).eval(), torch.empty(1, 3, 9, 7)) for run in (one, both))
    assert first.levels == second.levels and first.digest != second.digest


def test_plans_of_maps_with_other_channels_differ():
    """Whose items, which name layers, are the same."""
    first, second = (
        make_plan(Net(lambda net, x: net.c(x).mean((2, 3)), channels).eval(), torch.empty(1, 3, 9, 7))
        for channels in (8, 16)
    )
    assert first.digest != second.digest


def test_residuals_ride_in_the_epilogue(pose):
    second = next(item for item in pose.items() if item.name == "stage2.0.branches.0.0.conv2")
    assert (len(second.terms), second.relu, second.terms[0].resize) == (1, "last", None)


def test_fuse_sums_are_gathered_not_written(pose):
    """No item exists only to enlarge a map: up-sampling happens where a sum or a convolution reads."""
    assert not any(item.name == "resize" for item in pose.items())
    carried = next(item for item in pose.items() if item.name == "stage4.1.fuse_layers.2.0.1.0")
    assert [term.resize is not None for term in carried.terms] == [False, False, True]


def test_maps_that_nothing_enlarges_are_concatenated_before_a_pointwise_convolution():
    """Apart they would be no fewer multiplications, and more launches."""

    def run(net, x):
        y = net.c(x)
        return F.conv2d(torch.cat([y, F.interpolate(y.sigmoid(), size=(9, 7))], 1), net.wide)

    net = Net(run)
    net.wide = nn.Parameter(torch.empty(4, 16, 1, 1))
    plan = make_plan(net.eval(), torch.empty(1, 3, 9, 7))
    assert [item.conv.channels for item in plan.items() if isinstance(item, Conv)] == [None, None]


def test_head_of_v2_works_at_each_map_s_own_size():
    plan = plan_of("hrnet_w48.seg_cityscapes", 1, 3, 512, 1024)
    head = [item for item in plan.items() if item.name.startswith("last_layer.0")]
    assert [item.conv.channels for item in head] == [(0, 48), (48, 144), (144, 336), (336, 720)]
    assert [plan.values[item.out].shape[2] for item in head] == [128, 64, 32, 16]
    classifier = next(item for item in plan.items() if item.name == "last_layer.3")
    assert classifier.source_relu and len(classifier.sources) == 4


def test_a_plan_is_equal_to_itself_made_again(pose):
    assert pose == plan_of("hrnet_w32.pose_coco_256x192", 1, 3, 256, 192)
    assert pose != plan_of("hrnet_w32.pose_coco_256x192", 1, 3, 256, 160)


def test_batch_scales_shapes_and_nothing_else(pose):
    batched = plan_of("hrnet_w32.pose_coco_256x192", 4, 3, 256, 192)
    assert [level.items for level in batched.levels] == [level.items for level in pose.levels]
    assert [value.shape for value in batched.values] == [(4, *value.shape[1:]) for value in pose.values]


class Faults:
    """Plans broken on purpose; each maps a good plan to a bad one and the sentence it must be refused with."""

    @staticmethod
    def merged_levels(plan):
        first, second, *rest = plan.levels
        return replace(plan, levels=(Level(first.items + second.items), *rest)), "before a level has written it"

    @staticmethod
    def dropped_item(plan):
        return replace(plan, levels=plan.levels[:5] + plan.levels[6:]), "before a level has written it"

    @staticmethod
    def doubled_item(plan):
        return replace(plan, levels=(*plan.levels, plan.levels[3])), "a second time"

    @staticmethod
    def lost_result(plan):
        return replace(plan, outputs=(len(plan.values),)), "is never written"


@pytest.mark.parametrize("fault", [name for name in vars(Faults) if not name.startswith("_")])
def test_the_checker_sees(fault, pose):
    broken, sentence = getattr(Faults, fault)(pose)
    with pytest.raises(PlanError, match=sentence):
        check(broken)


class Refused(nn.Module):
    """A small network that does one thing which no plan can express."""

    def __init__(self, what):
        super().__init__()
        self.conv, self.what = nn.Conv2d(3, 8, 3, padding=1), what

    def forward(self, x):
        y = self.conv(x)
        match self.what:
            case "cumprod":
                return y.cumprod(1)
            case "data":
                return y if bool((y > 0).any()) else -y
            case "constant":
                return torch.ones(8)
            case "parameter":
                return y, self.conv.bias
            case "shapes":
                return y + F.interpolate(y, scale_factor=2)
            case "batch statistics":
                return F.batch_norm(y, None, None, training=True)
            case "training":
                return F.batch_norm(y, torch.zeros(8), torch.ones(8), training=True)
            case "dropout":
                return F.dropout(y, 0.5, training=True)
            case "dropout by default":
                return F.dropout2d(y, 0.5)
            case "other batch norm":
                return torch.batch_norm(y, None, None, self.conv.bias, self.conv.bias, False, 0.1, 1e-5, False)
            case "text":
                return {"map": y, "name": "y"}


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("cumprod", "the operation torch.Tensor.cumprod is not understood"),
        ("data", "__bool__ is not understood by the planner: it asks for numbers while the network runs"),
        ("constant", "a result is made of numbers and parameters alone, no tensor computed from the"),
        ("parameter", "a result is the parameter or buffer 'conv.bias', no tensor computed from the input"),
        ("shapes", "two maps to be added have sizes"),
        ("batch statistics", "a batch norm without running statistics"),
        ("training", "batch_norm asks for training=True, .* pass training=self.training"),
        ("dropout", "dropout asks for training=True"),
        ("dropout by default", "dropout2d asks for training=True"),
        ("other batch norm", "the operation torch.batch_norm is not understood"),
        ("text", "a result is the str 'y', no tensor .*: optimize the module that gives the others"),
    ],
)
def test_what_cannot_be_planned_is_named(what, sentence):
    with pytest.raises(PlanError, match=sentence):
        make_plan(Refused(what), torch.empty(1, 3, 8, 8))


def test_inputs_that_do_not_suit_the_network():
    model = create_model(f"{SMALL}.pose_coco_256x192")
    with pytest.raises(ValueError, match="the next size up is 224x192"):
        make_plan(model, torch.empty(1, 3, 200, 180))
    with pytest.raises(PlanError, match="usually 32"):
        make_plan(timm.create_model(SMALL), torch.empty(1, 3, 200, 180))
    with pytest.raises(PlanError, match=r"conv.weight expects maps of shape \(N, 3, H, W\), but gets \(1, 4, 8, 8\)"):
        make_plan(Refused(""), torch.empty(1, 4, 8, 8))
    with pytest.raises(PlanError, match="inputs must be tensors or lists of them, not str"):
        make_plan(model, "image.jpg")


@pytest.mark.parametrize("name", ["0.bias", "1.weight", "1.running_var", "2.bias"])
@pytest.mark.parametrize("count", [1, 3])
def test_vectors_of_other_channel_counts_are_refused_as_by_torch(name, count):
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ConvTranspose2d(8, 4, 4, 2, 1)).eval()
    owner, _, attribute = name.partition(".")
    getattr(model[int(owner)], attribute).data = torch.ones(count)
    with pytest.raises(RuntimeError):
        model(torch.zeros(1, 3, 8, 8))
    with pytest.raises(PlanError, match=rf"has the shape \({count},\), but must be of [48] channels \(in "):
        make_plan(model, torch.empty(1, 3, 8, 8))


def test_tracing_leaves_the_module_as_it_was():
    model = create_model(f"{SMALL}.cls_in1k").train()
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    make_plan(model, torch.empty(1, 3, 64, 64))
    assert all(m.training for m in model.modules())
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())


def test_the_table(pose):
    machine = Machine("a machine", 1e12, 1e11)
    text = str(annotate(pose, torch.bfloat16, machine, lambda level: ("cpu", "because")))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0] == "PoseHRNet: 1x3x256x192 -> 1x17x64x48"
    assert "97 levels, 300 items (293 convolutions), 7.65 G multiply-adds" in lines[1]
    assert sum(" cpu [1]" in line for line in lines) == 97
    assert lines[-1] == "[1] because"
    assert "maps share" not in text
    assert str(replace(pose, map_bytes=5_068_800)).splitlines()[1] == f"{lines[1]}; maps share 5.1 MB"


def test_costs_are_those_of_the_formulas(pose):
    level = annotate(pose, torch.float32, Machine("a machine", 1e12, 1e11), lambda level: ("", "")).levels[0]
    flops = 2 * 128 * 96 * 64 * 3 * 9
    moved = 4 * (64 * 3 * 9 + 3 * 256 * 192 + 64 * 128 * 96)
    assert (level.flops, level.bytes) == (flops, moved)
    assert level.roofline_us == pytest.approx(max(flops / 1e12, moved / 1e11) * 1e6)


def test_sums_keep_the_order_of_the_network(pose):
    total = next(item for item in pose.items() if isinstance(item, Sum) and item.name == "stage4.0.fuse_layers.0")
    assert [term.resize.size if term.resize else None for term in total.terms] == [None] + [(64, 48)] * 3


@pytest.mark.parametrize("side", ["left", "right"])
def test_products_with_a_parameter_have_a_cost(side):
    def product(net, x):
        y = net.c(x).flatten(2)
        matrix = net.d.weight[:, :, 0, 0]
        return matrix @ y if side == "left" else y.transpose(1, 2) @ matrix

    net = Net(product).eval()
    flops = [level.flops for level in explain(net, (1, 3, 9, 7)).levels]
    assert 2 * 8 * 8 * 63 in flops


def test_products_of_matrices_have_a_cost():
    def product(net, x):
        rows = net.c(x)[0].flatten(1)
        return rows.mm(rows.T)

    net = Net(product).eval()
    assert 2 * 8 * 8 * 63 in [level.flops for level in explain(net, (1, 3, 9, 7)).levels]
