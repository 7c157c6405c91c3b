"""Loading into a model: what is refused and why, that a model is never half-loaded, and the report."""

import time

import pytest
import torch
from torch import nn

import hrnet_fast.models as models
from hrnet_fast.weights import CheckpointError, load_weights, save_weights, to_layout

POSE = "hrnet_w18_small.pose_coco_256x192"
CLS = "hrnet_w18_small.cls_in1k"
SEG = "hrnet_w18_small.seg_cityscapes"
OCR = "hrnet_w18_small.seg_ocr_cityscapes"


# Another width, variant, task, network.


@pytest.mark.parametrize(
    ("source", "model", "words"),
    [
        ("hrnet_w48.pose_coco_256x192", POSE,
         r"looks like hrnet_w48 pose \(17 outputs\), the model is hrnet_w18_small.pose_coco_256x192; "
         r"use create_model\('hrnet_w48.pose_coco_256x192'\)"),
        ("hrnet_w18_small_v2.cls_in1k", CLS, r"use create_model\('hrnet_w18_small_v2.cls_in1k'\)"),
        ("hrnet_w18.features", "hrnet_w18_small_v2.features", r"use create_model\('hrnet_w18.features'\)"),
        (CLS, "hrnet_w18_small_v2.seg_lip",
         r"use create_model\('hrnet_w18_small.cls_in1k'\), or create_model\('hrnet_w18_small.seg_lip'\) for its "
         "backbone alone"),
        ("hrnet_w20.cls_bottleneck_in1k", POSE, r"create_model\('hrnet_w20.cls_bottleneck_in1k', num_outputs=\d+\)$"),
        ("hrnet_w20.cls_bottleneck_in1k", "hrnet_w20.features", "differs in .*block type bottleneck against basic"),
        ("hrnet_w24.landmark_wflw", "hrnet_w18_small.landmark_wflw",
         r"looks like hrnet_w24 landmark \(98 outputs\).*create_model\('hrnet_w24', head='landmark', num_outputs=98\)"),
    ],
    ids=["width", "small_v2", "deeper-of-same-width", "another-task", "another-block", "bottleneck", "unlisted-width"],
)  # fmt: skip
def test_another_variant_is_named(source, model, words, make, refused):
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in models.create_model(source).state_dict().items()}
    checkpoint = {key: torch.zeros(()).expand(shape) for key, shape in shapes.items()}
    refused(make(model), checkpoint, words)


def test_constructor_named_in_a_refusal_takes_the_checkpoint(make, tmp_path):
    save_weights(make("hrnet_w20", head="pose", num_outputs=5), tmp_path / "custom.pth")
    with pytest.raises(CheckpointError) as error:
        load_weights(make(POSE), tmp_path / "custom.pth")
    call = str(error.value).partition("; use ")[2]
    model = eval(call, {"create_model": models.create_model})
    assert not load_weights(model, tmp_path / "custom.pth").missing


def test_family_by_another_origin_is_named(make, refused):
    theirs = {f"backbone.{key}": value for key, value in make("hrnet_w18_small_v2.features").state_dict().items()}
    refused(make(POSE), theirs, "looks like hrnet_w18_small_v2 backbone only")


def test_other_input_channels(make, refused):
    source = dict(make(POSE).state_dict())
    source["conv1.weight"] = torch.zeros(64, 4, 3, 3)
    refused(make(POSE), source, "differs in input channels 4 against 3")


@pytest.mark.parametrize("key", ["conv1.weight", "layer1.0.conv1.weight", "stage2.0.branches.0.0.conv2.weight"])
def test_tensor_of_another_rank(key, make, refused):
    refused(make(POSE), dict(make(POSE).state_dict()) | {key: torch.tensor(1.0)}, "the model is|does not fit")


def test_key_with_a_line_break(make, refused):
    refused(make(POSE), {"a\nb.weight": torch.ones(1)}, r"another network .keys begin with a\\nb;")


@pytest.mark.parametrize(
    ("tag", "key"),
    [
        ("pose_coco_256x192", "final_layer"),
        ("seg_lip", "last_layer.3"),
        ("landmark_aflw", "head.3"),
        ("cls_in1k", "classifier"),
        ("faster_rcnn_coco", "roi_head.bbox_head.fc_"),
    ],
)
def test_another_number_of_outputs(tag, key, make, same_bits, refused):
    source, model = make(f"hrnet_w18_small.{tag}", num_outputs=5), make(f"hrnet_w18_small.{tag}", seed=1)
    outputs = model.config.num_outputs
    refused(
        model, source.state_dict(), rf"\(5 outputs\), the model has {outputs} outputs; .*num_outputs=5.*strict=False"
    )
    own = {k: v.clone() for k, v in model.state_dict().items() if k.startswith(key)}
    report = load_weights(model, source.state_dict(), strict=False)
    assert set(report.missing) == set(own) == set(report.dropped)
    same_bits({k: model.state_dict()[k] for k in own}, own)


def test_another_kernel_in_the_head(make, refused):
    source = make(POSE, final_kernel=3).state_dict()
    refused(make(POSE), source, r"'final_layer.weight' has shape 17x16x3x3, the model's 17x16x1x1")


def test_misfits_are_named_as_in_the_file_and_in_the_model(make, refused):
    source = {f"backbone.{key}": value for key, value in make("hrnet_w18_small.features").state_dict().items()}
    source["backbone.bn1.weight"] = torch.ones(3)
    for strict in (True, False):
        words = r"'backbone.bn1.weight' \(for 'bn1.weight'\) has shape 3, the model's 64"
        refused(make(POSE), source, words, strict=strict)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (["conv1.weight", "layer1.0.conv1.weight", "layer4.1.conv1.weight"], "not an HRNet: it looks like a ResNet"),
        (["cls_token", "patch_embed.proj.weight"], "looks like a vision transformer"),
        (["tr1.conv.weight", "tr1.bn._mean"], "a PaddlePaddle HRNet"),
        (["backbone.stem.conv1.conv.weight", "stem.conv1.conv.weight"], "a Lite-HRNet"),
        (["conv1.weight", "stage2.0.branches.0.0.attn.qkv.weight"], "an HRFormer"),
        (["a.weight", "b.weight"], "another network .keys begin with a, b; the first is 'a.weight'"),
    ],
    ids=["resnet", "vit", "paddle", "lite", "hrformer", "unknown"],
)
def test_another_network(keys, words, make, refused):
    refused(make(POSE), dict.fromkeys(keys, torch.ones(1)), words)


def test_not_strict_takes_what_fits_of_a_deeper_body(make, same_bits):
    source, model = make("hrnet_w18.features").state_dict(), make("hrnet_w18_small_v2.features", seed=1)
    report = load_weights(model, source, strict=False)
    same_bits(dict(model.state_dict()), {key: source[key] for key in model.state_dict()})
    assert "another body (blocks and planes of layer1 4/64 against 2/64; modules" in report.notes[0]
    assert set(report.dropped.values()) == {"the model has no such key"}
    assert len(report.matched) + len(report.dropped) == len(source)


def test_not_strict_still_refuses_another_width(make, refused):
    refused(make(POSE), make("hrnet_w18_small_v2.features").state_dict(), "looks like hrnet_w18_small_v2", strict=False)


def test_ablation_of_fusion_is_not_the_plain_network(make, refused):
    source = make("hrnet_w18_small.features", fuse_where="final").state_dict()
    refused(make("hrnet_w18_small.features"), source, "incomplete|lacks")
    refused(
        make("hrnet_w18_small.features", fuse_where="final"), make("hrnet_w18_small.features").state_dict(), "lacks"
    )
    assert load_weights(make("hrnet_w18_small.features", fuse_where="final", seed=1), source).matched


# Damaged checkpoints.


@pytest.mark.parametrize(
    ("tag", "lost", "words"),
    [
        ("pose_coco_256x192", "stage3.0.branches.1.0.bn2.running_var", "incomplete: 1 backbone weights"),
        ("pose_coco_256x192", "final_layer.bias", "incomplete: 1 weights of its pose head"),
        ("seg_lip", "last_layer.0.bias", "incomplete: 1 weights of its segmentation head"),
        ("cls_in1k", "downsamp_modules.1.0.bias", "incomplete: 1 weights of its classification head"),
        ("det_coco", "neck.fpn_conv.4.bias", "incomplete: 1 weights of its detection pyramid head"),
    ],
)
def test_one_lost_weight(tag, lost, words, make, refused):
    source, model = dict(make(f"hrnet_w18_small.{tag}").state_dict()), make(f"hrnet_w18_small.{tag}", seed=1)
    del source[lost]
    refused(model, source, rf"{words}.*\('{lost}' first\)")
    assert load_weights(model, source, strict=False).missing == (lost,)


def test_a_lost_stage(make, refused):
    source = {key: value for key, value in make(POSE).state_dict().items() if not key.startswith("stage4")}
    refused(make(POSE), source, "an incomplete HRNet: it has no weights for stage4")


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("prefix", ["", "backbone."], ids=["official", "mm"])
def test_numbers_that_are_none(value, prefix, make, refused):
    key = "stage2.0.branches.0.0.bn1.running_var"
    source = {prefix + key: value.clone() for key, value in make("hrnet_w18_small.features").state_dict().items()}
    source[prefix + key][3] = float(value)
    alias = rf" \(for '{key}'\)" if prefix else ""
    refused(make(POSE), source, f"has {'NaN' if value == 'nan' else 'Inf'} in '{prefix}{key}'{alias}: ")


def test_numbers_that_overflow_when_added_are_still_numbers(make):
    source = {key: value.clone() for key, value in make(POSE).state_dict().items()}
    source["bn1.running_var"].fill_(3e38)
    load_weights(make(POSE), source)


def test_numbers_in_dropped_keys_do_not_matter(make):
    source = dict(make(CLS).state_dict())
    source["classifier.bias"] = torch.full((1000,), float("nan"))
    load_weights(make(POSE), source)


# Dtypes, devices, files, arguments.


@pytest.mark.parametrize("dtype", [torch.half, torch.bfloat16, torch.double], ids=str)
def test_checkpoint_of_another_dtype_is_cast_and_noted(dtype, make):
    source = {k: v.to(dtype) if v.is_floating_point() else v for k, v in make(POSE).state_dict().items()}
    model = make(POSE, seed=1)
    report = load_weights(model, source)
    assert all(torch.equal(value, source[key].to(value.dtype)) for key, value in model.state_dict().items())
    assert model.conv1.weight.dtype == torch.float32
    assert f"were cast from {str(dtype).removeprefix('torch.')} to float32" in str(report)


def test_model_keeps_its_dtype(make, refused):
    model = make(POSE).half()
    source = {key: value.clone() for key, value in make(POSE, seed=1).state_dict().items()}
    load_weights(model, source)
    assert torch.equal(model.conv1.weight, source["conv1.weight"].half())
    source["bn2.bias"][0] = 1e6
    refused(model, source, "values in 'bn2.bias' that overflow the model's float16")


def test_quantised_weights_are_refused(make, refused):
    source = dict(make(POSE).state_dict())
    source["conv2.weight"] = source["conv2.weight"].to(torch.int8)
    refused(make(POSE), source, "int8 values in 'conv2.weight', the model's are float32")


def test_memory_format_and_gradients_of_the_model_are_kept(make):
    model = make(POSE).to(memory_format=torch.channels_last).train()
    source = make(POSE, seed=1).state_dict()
    load_weights(model, source)
    assert torch.equal(model.conv2.weight, source["conv2.weight"])
    assert model.conv2.weight.is_contiguous(memory_format=torch.channels_last)
    assert model.conv2.weight.requires_grad and model.conv2.weight.is_leaf and model.training


def test_given_tensors_are_not_shared(make):
    source, model = make(POSE).state_dict(), make(POSE, seed=1)
    load_weights(model, source)
    with torch.no_grad():
        model.conv1.weight.zero_()
    assert source["conv1.weight"].abs().sum() > 0


@pytest.mark.parametrize("suffix", [".pth", ".pth.tar", ".safetensors"])
def test_saved_model_loads_exactly(suffix, make, tmp_path, same_bits):
    source, model = make(OCR), make(OCR, seed=1)
    save_weights(source, tmp_path / f"a{suffix}")
    report = load_weights(model, tmp_path / f"a{suffix}")
    assert report.source == f"a{suffix}" and len(report.matched) == len(source.state_dict())
    same_bits(dict(source.state_dict()), dict(model.state_dict()))


def test_w32_loads_in_well_under_a_second(make, tmp_path):
    model = make("hrnet_w32.pose_coco_256x192")
    save_weights(model, tmp_path / "w32.pth")
    took = []
    for _ in range(3):
        start = time.process_time()
        load_weights(model, tmp_path / "w32.pth")
        took.append(time.process_time() - start)
    assert min(took) < 1.0


def test_wrong_arguments(make):
    with pytest.raises(TypeError, match="a path or a state dict, not int"):
        load_weights(make(POSE), 3)
    with pytest.raises(TypeError, match=r"the model is a dict, not an nn\.Module"):
        load_weights({}, make(POSE).state_dict())
    with pytest.raises(TypeError, match="needs a model with the official HRNet keys"):
        load_weights(nn.Conv2d(1, 1, 1), make(POSE).state_dict())
    with pytest.raises(TypeError, match="save_weights needs a model from create_model, not Conv2d"):
        save_weights(nn.Conv2d(1, 1, 1), "a.pth")
    with torch.device("meta"):
        empty = models.create_model(POSE)
    with pytest.raises(CheckpointError, match="the model has no storage"):
        load_weights(empty, make(POSE).state_dict())


def test_error_names_the_file(make, tmp_path, refused):
    path = tmp_path / "pose_hrnet_w32_256x192.pth"
    path.write_bytes(b"<html>")
    refused(make(POSE), path, f"'{path}' is a web page")
    save_weights(make("hrnet_w18_small_v2.pose_coco_256x192"), path)
    refused(make(POSE), path, f"^'{path}' looks like hrnet_w18_small_v2 pose")


# The report.


def test_report_counts_add_up(make):
    model = make(OCR)
    source = {f"model.{key}": value for key, value in make(SEG).state_dict().items()} | {"loss.weight": torch.ones(1)}
    report = load_weights(model, source)
    assert len(report.matched) + len(report.missing) == len(model.state_dict())
    assert len(report.matched) + len(report.dropped) == len(source)


def test_report_wraps_long_names(make, tmp_path):
    path = tmp_path / ("very_" * 30 + "long.pth")
    save_weights(make(POSE), path)
    assert max(map(len, str(load_weights(make(POSE), path)).splitlines())) <= 100


def test_report_is_frozen(make):
    report = load_weights(make(POSE), make(POSE, seed=1).state_dict())
    with pytest.raises(AttributeError):
        report.layout = "timm"


def test_a_classifier_without_its_last_layer(make, refused):
    """As timm makes it by num_classes=0."""
    source = {key: value for key, value in make(CLS).state_dict().items() if not key.startswith("classifier.")}
    model = make(CLS, seed=1)
    refused(model, source, r"without its last layer \('classifier.weight'\), .*strict=False loads the others")
    report = load_weights(model, source, strict=False)
    assert report.missing == ("classifier.weight", "classifier.bias")


def test_the_pyramid_of_mmdetections_fcos_has_stride_2(make, refused, same_bits):
    source = make("hrnet_w18_small.det_coco", seed=1)
    state = to_layout(source.state_dict(), "mmdet", source.config)
    state["bbox_head.conv_centerness.weight"] = torch.ones(1, 256, 3, 3)
    model = make("hrnet_w18_small.det_coco", seed=2)
    for holder in ("", "model."):
        held = {holder + key: value for key, value in state.items()}
        refused(model, held, "an FCOS detector, whose pyramid has convolutions of stride 2 .* strict=False")
    for conv in model.neck.fpn_conv:
        conv.stride = (2, 2)
    load_weights(model, state)
    same_bits(dict(model.state_dict()), dict(source.state_dict()))
    other = make("hrnet_w18_small.features", seed=2)
    assert "bbox_head.conv_centerness.weight" in load_weights(other, state).dropped
    assert not load_weights(make("hrnet_w18_small.det_coco"), state, strict=False).missing


@pytest.mark.parametrize("tags", [("det_coco", "faster_rcnn_coco"), ("faster_rcnn_coco", "det_coco")], ids="-".join)
def test_a_pyramid_and_a_detector_take_each_others_pyramid(tags, make, same_bits):
    source, model = (make(f"hrnet_w18_small.{tag}", seed) for seed, tag in enumerate(tags))
    report = load_weights(model, source.state_dict())
    same_bits(model.neck.state_dict(), source.neck.state_dict())
    others = {*source.state_dict()} ^ {*model.state_dict()}
    assert others == {*report.dropped, *report.missing}
    assert {key.split(".")[0] for key in others} == {"rpn_head", "roi_head"}


def test_an_increasing_classifier_leaves_another_kinds_classifier_alone(make):
    source = make("hrnet_w18_small", head="classification_cii", num_outputs=1000).state_dict()
    model = make(CLS)
    before = model.classifier.weight.clone()
    assert source["classifier.weight"].shape == before.shape
    assert "classifier.weight" in load_weights(model, source).dropped
    assert torch.equal(model.classifier.weight, before)
