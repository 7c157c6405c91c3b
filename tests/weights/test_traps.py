"""Checkpoints in the wild: the traps of HRNet weights that people have stepped into."""

import pytest
import torch

from hrnet_fast.weights import load_weights, to_layout

POSE = "hrnet_w18_small.pose_coco_256x192"
CLS = "hrnet_w18_small.cls_in1k"
SEG = "hrnet_w18_small.seg_cityscapes"
OCR = "hrnet_w18_small.seg_ocr_cityscapes"


def is_head(key: str) -> bool:
    return not key.startswith(("conv1.", "conv2.", "bn", "layer1.", "transition", "stage"))


def pose_pretraining(backbone: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """hrnet_w32-36af842e.pth, the pose repository's ImageNet weights: the same backbone, another head than `cls_hrnet`.

    Its 170 further keys: four Bottlenecks head.0.{0-3}.0, three head.1.{0-2}.0, a classifier.
    """

    def bottleneck(name: str) -> list[str]:
        norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
        pairs = (("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3"), ("downsample.0", "downsample.1"))
        return [key for c, b in pairs for key in (f"{name}.{c}.weight", *(f"{name}.{b}.{n}" for n in norm))]

    names = [f"head.0.{i}.0" for i in range(4)] + [f"head.1.{i}.0" for i in range(3)]
    head = [key for name in names for key in bottleneck(name)] + ["classifier.weight", "classifier.bias"]
    return backbone | dict.fromkeys(head, torch.zeros(1))


def test_pose_imagenet_pretraining_has_2000_keys(make):
    pretrained = pose_pretraining(make("hrnet_w32.features").state_dict())
    assert len(pretrained) == 2000
    model = make("hrnet_w32.pose_coco_256x192", seed=1)
    report = load_weights(model, pretrained)
    assert report.missing == ("final_layer.weight", "final_layer.bias")
    assert len(report.matched) == 1752
    reasons = list(report.dropped.values())
    assert reasons.count("ImageNet pretraining head; the model's is pose") == 170
    assert reasons.count("the last module fuses only its finest map in this model") == 78
    assert len(reasons) == 248
    lines = str(report).splitlines()
    assert len(lines) < 12 and max(map(len, lines)) <= 100
    assert lines[0] == "hrnet_w32.pose_coco_256x192 <- a state dict (official keys)"
    assert lines[1].split() == ["matched", "1752", "of", "1754", "keys"]
    assert "dropped     78  stage4.2.fuse_layers.*: the last module fuses only its finest map" in str(report)
    assert "missing      2  final_layer.*: left at the model's values" in str(report)


@pytest.mark.parametrize("tag", ["pose_coco_256x192", "cls_in1k", "seg_ocr_cityscapes", "landmark_wflw"])
def test_checkpoint_without_num_batches_tracked(tag, make, same_bits):
    source, model = make(f"hrnet_w18_small.{tag}"), make(f"hrnet_w18_small.{tag}", seed=1)
    old = {key: value for key, value in source.state_dict().items() if "num_batches_tracked" not in key}
    report = load_weights(model, old)
    assert all(key.endswith("num_batches_tracked") for key in report.missing) and report.missing
    state = model.state_dict()
    same_bits({key: state[key] for key in old}, old)
    others = {key: value.view(1) for key, value in source.state_dict().items() if key not in old}
    report = load_weights(model, {**old, **others})
    assert set(report.missing) == set(report.dropped) == set(others)


def test_classification_weights_start_any_backbone(make, same_bits):
    source = make(CLS).state_dict()
    for tag in ("pose_coco_256x192", "seg_cityscapes", "seg_ocr_lip", "landmark_wflw", "det_coco", "features"):
        model = make(f"hrnet_w18_small.{tag}", seed=1)
        heads = {key: value.clone() for key, value in model.state_dict().items() if is_head(key)}
        report = load_weights(model, source)
        assert set(report.missing) == set(heads)
        assert {key for key in report.dropped if is_head(key)} == {key for key in source if is_head(key)}
        state = model.state_dict()
        same_bits({key: state[key] for key in heads}, heads)
        same_bits({key: state[key] for key in report.matched}, {key: source[key] for key in report.matched})
        assert len(report.matched) + len(report.missing) == len(state)


def test_extra_fuse_layers_are_dropped_for_pose(make):
    report = load_weights(make("hrnet_w32.pose_coco_256x192"), make("hrnet_w32.cls_in1k").state_dict())
    extra = [key for key in report.dropped if not is_head(key)]
    assert len(extra) == 78 and all(key.startswith("stage4.2.fuse_layers.") for key in extra)


def test_pose_backbone_lacks_fuse_layers_that_others_need(make, refused):
    source, model = make(POSE).state_dict(), make(SEG, seed=1)
    refused(model, source, r"hrnet_w18_small pose \(17 outputs\) network, whose last module fuses only its finest map")
    report = load_weights(model, source, strict=False)
    lacking = [key for key in report.missing if not is_head(key)]
    assert len(lacking) == 78 and all(key.startswith("stage4.0.fuse_layers.") for key in lacking)


def test_segmentation_checkpoint_with_its_loss(make, same_bits):
    source, model = make(SEG).state_dict(), make(SEG, seed=1)
    saved = {f"module.model.{key}": value for key, value in source.items()}
    report = load_weights(model, {"state_dict": saved | {"module.loss.criterion.weight": torch.ones(19)}})
    assert report.layout == "official_seg" and not report.missing
    assert report.dropped == {"loss.criterion.weight": "training loss, not part of the network"}
    same_bits(dict(model.state_dict()), dict(source))


@pytest.mark.parametrize("classes", [19, 7])
def test_ocr_starts_its_auxiliary_head_from_segmentation(classes, make, same_bits):
    source, model = make(SEG, num_outputs=classes).state_dict(), make(OCR, seed=1)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    report = load_weights(model, {f"model.{key}": value for key, value in source.items()})
    state = model.state_dict()
    loaded = {key.replace("last_layer", "aux_head"): value for key, value in source.items() if is_head(key)}
    if classes != 19:
        del loaded["aux_head.3.weight"], loaded["aux_head.3.bias"]
    same_bits({key: state[key] for key in loaded}, loaded)
    untouched = [key for key in state if is_head(key) and key not in loaded]
    same_bits({key: state[key] for key in untouched}, {key: before[key] for key in untouched})
    assert set(untouched) == set(report.missing)
    assert "last_layer was loaded into aux_head" in str(report)
    assert len(report.dropped) == (0 if classes == 19 else 2)


def test_ocr_starts_from_a_segmentation_layout_without_biases(make):
    source, model = make(SEG), make(OCR, seed=1)
    report = load_weights(model, to_layout(source.state_dict(), "mmseg", source.config))
    assert not model.aux_head[0].bias.any()
    norm, bias = source.last_layer[1], source.last_layer[0].bias
    assert torch.equal(model.aux_head[1].running_mean, norm.running_mean - bias)
    assert "1 biases that the mmseg layout does not have were set to zero" in str(report)


def test_segmentation_without_counters_may_be_inplace_abn(make):
    source = make(SEG).state_dict()
    old = {f"model.{key}": value for key, value in source.items() if "num_batches_tracked" not in key}
    assert any("InPlace-ABN" in note for note in load_weights(make(SEG, seed=1), old).notes)
