"""Every architecture, head and option: shapes, gradients, and refusals in one sentence."""

from dataclasses import fields

import numpy as np
import pytest
import torch
from torch import nn

from hrnet_fast import create_model, list_models, model_config
from hrnet_fast.models import (
    ARCHITECTURES,
    BasicBlock,
    BilinearHighResolutionModule,
    Bottleneck,
    HighResolutionModule,
    SizeError,
)
from hrnet_fast.models.config import HRNetConfig, Options
from tests.exact import assert_exact
from tests.golden import fill
from tests.networks import SMALL
from tests.plan.origins import ForeignModule

OPTIONS = [
    {"fusion": "product"},
    {"fuse_where": "final"},
    {"fuse_where": "across_stages"},
    {"downsample": "bilinear"},
    {"streams": "all"},
    {"heatmap_map": 2},
    {"heatmap_map": 4},
    {"final_kernel": 3},
    {"upsample": "bilinear", "align_corners": True},
]


def tensors(output):
    return [output] if isinstance(output, torch.Tensor) else list(output)


def expected_shapes(config, batch, height, width):
    quarter = (height // 4, width // 4)
    classes = config.num_outputs
    if config.head.startswith("classification"):
        return [(batch, classes)]
    if config.head == "ocr":
        return [(batch, classes, *quarter)] * 2
    if config.head == "pose_higher":
        return [(batch, 2 * classes, *quarter), (batch, classes, height // 2, width // 2)]
    if config.head in ("detection", "faster_rcnn"):
        sizes = [(quarter[0] >> level, quarter[1] >> level) for level in range(5)]
        kinds = ((256, sizes),) if config.head == "detection" else ((256, sizes[:4]), (3, sizes), (12, sizes))
        return [(batch, channels, *size) for channels, levels in kinds for size in levels]
    if config.head == "features":
        return [(batch, c, quarter[0] >> b, quarter[1] >> b) for b, c in enumerate(config.architecture.widths)]
    scale = config.heatmap_map
    return [(batch, classes, quarter[0] // scale, quarter[1] // scale)]


@pytest.mark.parametrize("name", list_models(f"{SMALL}.*") + ["hrnet_w27.cls_ci_in1k", "hrnet_w25.cls_cii_in1k"])
def test_every_tag_gives_the_shapes_it_promises(name):
    with torch.device("meta"):
        model = create_model(name).eval()
        output = model(torch.empty(2, 3, 128, 192))
    assert [tuple(t.shape) for t in tensors(output)] == expected_shapes(model.config, 2, 128, 192)


@pytest.mark.parametrize("name", list_models(f"{SMALL}.*"))
def test_fx_traces_it(name):
    """As torchvision's create_feature_extractor does."""
    model, x = fill(create_model(name)).eval(), torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        for mine, theirs in zip(tensors(torch.fx.symbolic_trace(model)(x)), tensors(model(x)), strict=True):
            assert torch.equal(mine, theirs)


@pytest.mark.parametrize("arch", [*ARCHITECTURES, "hrnet_w24"])
def test_every_architecture_gives_its_widths(arch):
    with torch.device("meta"):
        model = create_model(f"{arch}.features").eval()
        maps = model(torch.empty(1, 3, 64, 64))
    assert [m.shape[1] for m in maps] == list(model.config.architecture.widths)
    assert [m.shape[2] for m in maps] == [16, 8, 4, 2]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(f"{k}={v}" for k, v in o.items()))
def test_options_change_the_numbers(options):
    x = torch.randn(1, 3, 64, 64)
    model = fill(create_model("hrnet_w18_small_v2.pose_coco_256x192", **options).eval())
    output = model(x)
    assert [tuple(output.shape)] == expected_shapes(model.config, 1, 64, 64)
    plain = fill(create_model("hrnet_w18_small_v2.pose_coco_256x192").eval())(x)
    assert output.shape != plain.shape or (output - plain).norm() > 0.01 * plain.norm()


@pytest.mark.parametrize(
    ("name", "options"),
    [(name, {}) for name in (
        f"{SMALL}.pose_coco_256x192", f"{SMALL}.pose_v1h_coco_256x192", f"{SMALL}.pose_higher_coco_512x512",
        f"{SMALL}.seg_lip", f"{SMALL}.seg_ocr_lip", f"{SMALL}.landmark_cofw", f"{SMALL}.cls_in1k", f"{SMALL}.det_coco",
        f"{SMALL}.features",
        "hrnet_w12.cls_bottleneck_in1k", "hrnet_w8.cls_ci_in1k", "hrnet_w8.cls_cii_in1k",
    )] + [(f"{SMALL}.pose_coco_256x192", options) for options in OPTIONS if "heatmap_map" not in options],
    ids=str,
)  # fmt: skip
def test_training_reaches_every_parameter(name, options):
    torch.manual_seed(0)
    model = create_model(name, **options).train()
    sum(t.square().mean() for t in tensors(model(torch.randn(2, 3, 64, 64)))).backward()
    without = [key for key, p in model.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert without == []


def test_running_statistics_move_in_training_only():
    model = create_model(f"{SMALL}.landmark_wflw")
    assert {m.momentum for m in model.modules() if isinstance(m, nn.BatchNorm2d)} == {0.01}
    before = model.bn1.running_mean.clone()
    model.eval()(torch.randn(1, 3, 64, 64))
    assert torch.equal(model.bn1.running_mean, before)
    model.train()(torch.randn(2, 3, 64, 64))
    assert not torch.equal(model.bn1.running_mean, before)


def test_align_corners_belongs_to_the_instance():
    x = torch.randn(1, 3, 64, 64)
    first = fill(create_model(f"{SMALL}.seg_lip", align_corners=True).eval())
    before = first(x)
    second = fill(create_model(f"{SMALL}.seg_lip", align_corners=False).eval())
    assert torch.equal(first(x), before)
    assert (second(x) - before).norm() > 0.01 * before.norm()


@pytest.mark.parametrize(("block", "planes"), [(BasicBlock, [8, 16, 32]), (Bottleneck, [2, 4, 8])])
def test_module_takes_the_official_arguments_and_leaves_the_callers_list_alone(block, planes):
    widths = [8, 16, 32]
    module = HighResolutionModule(3, block, [2, 2, 2], widths, planes, "SUM", True).eval()
    assert module.get_num_inchannels() == widths == [8, 16, 32]
    maps = [torch.randn(1, c, 16 >> b, 16 >> b) for b, c in enumerate(widths)]
    given = list(maps)
    fused = module(given)
    assert [m.shape for m in fused] == [m.shape for m in maps]
    assert all(a is b for a, b in zip(given, maps))


@pytest.mark.parametrize(
    ("ours", "manner", "options"),
    [
        (HighResolutionModule, "pose", {}),
        (HighResolutionModule, "openmmlab", {}),
        (BilinearHighResolutionModule, "segmentation", {"align_corners": True}),
    ],
)
def test_module_has_the_keys_and_numbers_of_other_code_bases(ours, manner, options):
    widths = [6, 12, 24]
    theirs = fill(ForeignModule(widths, manner).double()).eval()
    module = ours(3, BasicBlock, [2, 2, 2], widths, widths, "SUM", **options).double().eval()
    module.load_state_dict(theirs.state_dict())
    maps = [torch.randn(2, c, 16 >> b, 24 >> b, dtype=torch.float64) for b, c in enumerate(widths)]
    with torch.no_grad():
        assert_exact(module(maps), theirs(list(maps)))


def test_single_branch_and_single_output_modules():
    alone = HighResolutionModule(1, BasicBlock, [1], [8], [8], "SUM")
    assert alone.fuse_layers is None and len(alone([torch.randn(1, 8, 4, 4)])) == 1
    single = HighResolutionModule(2, BasicBlock, [1, 1], [8, 16], [8, 16], "SUM", False)
    assert len(single([torch.randn(1, 8, 4, 4), torch.randn(1, 16, 2, 2)])) == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((3, BasicBlock, [1, 1], [8, 16, 32], [8, 16, 32]), "num_blocks has 2 entries for 3 branches"),
        ((2, BasicBlock, [1, 1], [8], [8, 16]), "num_inchannels has 1 entries for 2 branches"),
        ((2, BasicBlock, [1, 1], [8, 16], [8, 16, 32]), "num_channels has 3 entries for 2 branches"),
        ((1, BasicBlock, [1], [8], [8], "MAX"), "fuse_method='MAX' is not known; choose 'SUM' or 'PRODUCT'"),
    ],
)
def test_module_refuses_inconsistent_arguments(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        HighResolutionModule(*arguments)


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        ((1, 3, 200, 180), "multiples of 32; the next size up is 224x192"),
        ((1, 4, 64, 64), r"the input must have shape \(N, 3, H, W\), not \(1, 4, 64, 64\)"),
        ((3, 64, 64), r"not \(3, 64, 64\)"),
    ],
)
def test_inputs_that_no_network_takes(shape, sentence):
    with pytest.raises(SizeError, match=sentence):
        create_model(f"{SMALL}.pose_coco_256x192")(torch.zeros(shape))


def test_bilinear_models_take_any_size():
    assert create_model(f"{SMALL}.seg_lip").eval()(torch.zeros(1, 3, 65, 33)).shape == (1, 20, 17, 9)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"upsample": "cubic"}, "upsample='cubic' is not known; choose one of 'nearest', 'bilinear'"),
        ({"num_outputs": 0}, "head='pose' needs num_outputs of at least 1, not 0"),
        ({"input_size": 224}, r"input_size=224 is not the \(height, width\) of an image"),
        ({"input_size": (224, 0)}, r"input_size=\(224, 0\) is not the"),
        ({"heatmap_map": 3}, "heatmap_map=3 is not known; choose one of 1, 2, 4"),
        ({"final_kernel": 1.0}, "final_kernel=1.0 is not known; choose one of 1, 3"),
        ({"align_corners": "yes"}, "align_corners='yes' is not known; choose one of False, True"),
        ({"num_outputs": 17.0}, "num_outputs=17.0 is not a whole number"),
        ({"num_outputs": True}, "num_outputs=True is not a whole number"),
        ({"bn_momentum": "x"}, "bn_momentum='x' is not a number"),
    ],
)
def test_options_that_are_not_known(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        create_model(f"{SMALL}.pose_coco_256x192", **options)


def test_configs_of_equal_sizes_are_equal():
    one, other = (model_config(f"{SMALL}.pose_coco_256x192", input_size=size) for size in ([64, 48], (64, 48)))
    assert one == other and hash(one) == hash(other)


def test_numbers_of_numpys_are_taken_as_pythons():
    config = model_config(
        f"{SMALL}.pose_coco_256x192", num_outputs=np.int64(5), input_size=(64, 48), bn_momentum=np.float64(1)
    )
    assert config == model_config(config.name, num_outputs=5, input_size=(np.int32(64), np.int32(48)), bn_momentum=1.0)
    assert {type(value) for value in (config.num_outputs, *config.input_size)} == {int}


def test_options_are_the_fields_of_a_config():
    assert {"name": "str", "architecture": "Architecture"} | {
        name: kind.__forward_arg__ for name, kind in Options.__annotations__.items()
    } == {field.name: field.type for field in fields(HRNetConfig)}


def test_an_option_that_does_not_exist():
    with pytest.raises(TypeError, match="create_model has no option 'widht'; the options are align_corners, "):
        create_model(f"{SMALL}.pose_coco_256x192", widht=3)
    with pytest.raises(TypeError, match="create_model has no option 'num_classes'; use num_outputs$"):
        create_model(f"{SMALL}.cls_in1k", num_classes=10)


@pytest.mark.parametrize("name", ["hrnet_w32.pose_coco_256x129", "hrnet_w32", "resnet50", "hrnet_w0.features", ""])
def test_unknown_names(name):
    with pytest.raises(KeyError, match="unknown model"):
        create_model(name)


def test_what_is_no_name():
    with pytest.raises(TypeError, match="named by a text such as .*, not by Conv2d"):
        create_model(torch.nn.Conv2d(1, 1, 1))


def test_closest_name_is_suggested():
    with pytest.raises(KeyError, match="'hrnet_w32.pose_coco_256x192'"):
        create_model("hrnet_w32.pose_coco_256x129")


def test_head_without_a_tag():
    config = model_config("hrnet_w40", head="segmentation", num_outputs=7)
    assert (config.head, config.num_outputs, config.upsample) == ("segmentation", 7, "bilinear")


def test_wildcards():
    assert "hrnet_w32.pose_coco_256x192" in list_models("*pose*")
    assert list_models("*w44*bottleneck*") == ["hrnet_w44.cls_bottleneck_in1k"]
    assert list_models("no_such*") == []
