"""Every code base's checkpoints: found by their keys, loaded into the right places, written back bit by bit."""

import copy
from functools import cache

import pytest
import torch
from torch import nn

import hrnet_fast.models as models
from hrnet_fast.models.config import HEADS
from hrnet_fast.weights import (
    CheckpointError,
    detect_layout,
    from_layout,
    layout_names,
    load_weights,
    read_checkpoint,
    save_weights,
    to_layout,
)
from tests.exact import assert_exact
from tests.weights.origins import MMDetFasterRCNN

BIASLESS = {"mmpretrain", "mmseg"}
# What each code base can hold; the official names are those of the models themselves.
HOLDS = {
    "official": set(HEADS),
    "official_seg": {"segmentation", "ocr"},
    "official_det": {"detection"},
    "timm": {"classification", "features"},
    "simple_hrnet": {"pose"},
    "higherhrnet": {"pose_higher"},
    "mmpose": {"pose", "landmark"},
    "mmpose0": {"pose", "pose_higher", "landmark"},
    "mmseg": {"segmentation", "ocr"},
    "mmdet": {"detection", "faster_rcnn"},
    "mmpretrain": {"classification"},
    "mm_backbone": {"features"},
}


def outputs(model: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    with torch.no_grad():
        y = model(x)
    return [y] if isinstance(y, torch.Tensor) else list(y)


@cache
def our_keys(head: str) -> tuple[str, ...]:
    with torch.device("meta"):
        return tuple(models.create_model("hrnet_w18_small", head=head).state_dict())


def network_keys(theirs: nn.Module) -> set[str]:
    """Their keys without losses, and without the parts of detectors of which ours is the pyramid alone."""
    strangers = ("loss",) if isinstance(theirs, MMDetFasterRCNN) else ("rpn_head", "roi_head", "bbox_head", "loss")
    return {key for key in theirs.state_dict() if not key.startswith(strangers)}


def test_checkpoint_computes_the_same_here(origin):
    layout, _, theirs, ours = origin
    theirs, ours = theirs.double(), ours.double()
    report = load_weights(ours, theirs.state_dict())
    assert report.layout == layout
    assert set(report.matched) == set(ours.state_dict()) and not report.missing
    x = torch.randn(1, 3, 64, 96, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    assert_exact(outputs(ours, x), outputs(theirs, x))


def test_only_what_is_not_hrnet_is_dropped(origin):
    *_, theirs, ours = origin
    report = load_weights(ours, theirs.state_dict())
    assert set(report.dropped) == set(theirs.state_dict()) - network_keys(theirs)
    assert all(report.dropped.values())


def test_to_layout_gives_their_keys(origin):
    layout, _, theirs, ours = origin
    assert set(to_layout(ours.state_dict(), layout, ours.config)) == network_keys(theirs)


def test_round_trip_from_their_side_is_exact(origin, same_bits):
    layout, _, theirs, ours = origin
    kept = network_keys(theirs)
    there = {key: value for key, value in theirs.state_dict().items() if key in kept}
    back = to_layout(from_layout(there, layout, ours.config), layout, ours.config)
    same_bits(there, back)


def test_round_trip_through_a_file_from_our_side_is_exact(origin, same_bits, make, tmp_path):
    layout, head, _, ours = origin
    if layout in BIASLESS:
        with torch.no_grad():
            for name, value in ours.named_parameters():
                if name.endswith(".0.bias"):
                    value.zero_()
    save_weights(ours, tmp_path / "there.pth", layout=layout)
    again = make("hrnet_w18_small", seed=9, head=head, num_outputs=ours.config.num_outputs)
    load_weights(again, tmp_path / "there.pth")
    same_bits(ours.state_dict(), again.state_dict())


def test_biases_they_do_not_have_move_into_the_norms(origin):
    layout, _, theirs, ours = origin
    ours, theirs = ours.double(), theirs.double()
    there = to_layout(ours.state_dict(), layout, ours.config)
    theirs.load_state_dict(there, strict=False)
    x = torch.randn(1, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    assert_exact(outputs(theirs, x), outputs(ours, x))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("layout", layout_names())
def test_every_layout_holds_a_head_exactly_or_says_why_not(layout, head, same_bits):
    config = models.model_config("hrnet_w18_small", head=head)
    state = {key: torch.zeros(1) if key.endswith(".0.bias") else torch.rand(1) for key in our_keys(head)}
    if head in HOLDS[layout]:
        same_bits(state, from_layout(to_layout(state, layout, config), layout, config))
    else:
        with pytest.raises(CheckpointError, match=f"^layout {layout!r} has no place for a {head} model [^\n]*$"):
            to_layout(state, layout, config)


@pytest.mark.parametrize(
    ("layout", "head"),
    [("higherhrnet", "pose"), ("mmpose", "segmentation"), ("simple_hrnet", "ocr"), ("timm", "pose_v1h")],
)
def test_meaningless_layout_is_refused(layout, head, make, tmp_path):
    model = make("hrnet_w18_small", head=head)
    with pytest.raises(CheckpointError, match=f"layout '{layout}' has no place for a {head} model"):
        save_weights(model, tmp_path / "x.pth", layout=layout)
    assert not list(tmp_path.iterdir())


def test_unknown_layout_is_named(make):
    model = make("hrnet_w18_small.features")
    for convert in (to_layout, from_layout):
        with pytest.raises(CheckpointError, match=r"layout 'detectron' is not known; choose one of .*official"):
            convert(model.state_dict(), "detectron", model.config)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "module.module."])
def test_wrapper_prefixes_are_stripped(prefix, make, same_bits):
    model = make("hrnet_w18_small.seg_cityscapes")
    for layout in ("official", "official_seg", "mmseg"):
        state = to_layout(model.state_dict(), layout, model.config)
        bare = read_checkpoint({prefix + key: value for key, value in state.items()})
        assert detect_layout(bare).name == layout
        same_bits(state, bare)


@pytest.mark.parametrize("wrapper", ["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"])
def test_wrappers_of_parts_are_stripped(wrapper, make, same_bits):
    state = make("hrnet_w18_small.features").state_dict()
    wrapped = {
        key.replace("stage2.", f"stage2.{wrapper}.").replace("conv1.", f"conv1.{wrapper}."): state[key] for key in state
    }
    assert len(wrapped.keys() - state.keys()) > 9
    same_bits(state, read_checkpoint(wrapped))


@pytest.mark.parametrize("holder", ["net.", "model.", "model.model.", "backbone.", "system.backbone.", "net.module."])
def test_a_users_module_may_hold_the_network(holder, make, same_bits):
    """As in Lightning's checkpoints, whose other keys are of a loss and metrics."""
    theirs, ours = (make("hrnet_w18_small.pose_coco_256x192", seed=seed) for seed in (1, 2))
    state = {holder + key: value for key, value in theirs.state_dict().items()}
    report = load_weights(
        ours, {"state_dict": state | {"loss.weight": torch.ones(17)}, "pytorch-lightning_version": "2"}
    )
    same_bits(ours.state_dict(), theirs.state_dict())
    assert list(report.dropped) == ["loss.weight"]
    assert report.notes == (() if holder == "model." else (f"the network's keys begin with {holder!r}",))


def test_a_users_module_may_hold_a_model_of_another_code_base(origin, same_bits):
    layout, _, theirs, ours = origin
    again = copy.deepcopy(ours)
    load_weights(again, theirs.state_dict())
    report = load_weights(ours, {f"net.{key}": value for key, value in theirs.state_dict().items()})
    same_bits(ours.state_dict(), again.state_dict())
    assert report.layout in (layout, "official") and all(key.startswith("net.") for key in report.dropped)


def test_of_several_networks_none_is_taken(make, refused):
    state = make("hrnet_w18_small.features").state_dict()
    both = {f"{name}.{key}": value for name in ("student", "teacher") for key, value in state.items()}
    refused(
        make("hrnet_w18_small.features"), both, "holds 2 HRNets, with keys that begin with 'student.' and 'teacher.'"
    )


def test_mmpretrains_neck_may_stand_alone(make, same_bits):
    """A config may give one neck rather than a list of necks."""
    ours = make("hrnet_w18_small.cls_in1k", seed=3)
    listed = to_layout(ours.state_dict(), "mmpretrain", ours.config)
    alone = {key.replace("neck.0.", "neck."): value for key, value in listed.items()}
    assert any(key.startswith("neck.0.") for key in listed) and set(alone) != set(listed)
    again, same = (make("hrnet_w18_small.cls_in1k", seed=seed) for seed in (4, 5))
    assert load_weights(again, alone).layout == "mmpretrain"
    load_weights(same, listed)
    same_bits(same.state_dict(), again.state_dict())


def test_higherhrnet_gives_other_heads_its_backbone(higher_hrnet, make, same_bits):
    model = make("hrnet_w18_small.pose_coco_256x192", seed=5)
    head = {key: value.clone() for key, value in model.state_dict().items() if key.startswith("final_layer")}
    report = load_weights(model, higher_hrnet.state_dict())
    assert report.layout == "higherhrnet"
    assert report.missing == ("final_layer.weight", "final_layer.bias")
    assert {key.split(".")[0] for key in report.dropped} == {"final_layers", "deconv_layers"}
    state = model.state_dict()
    same_bits({key: value for key, value in state.items() if key in head}, head)
    theirs = higher_hrnet.state_dict()
    same_bits({key: state[key] for key in report.matched}, {key: theirs[key] for key in report.matched})


def test_any_mm_model_gives_its_backbone(make):
    theirs = make("hrnet_w18_small.features", seed=1)
    state = {f"backbone.{key}": value for key, value in theirs.state_dict().items()} | {"head.fc.weight": torch.ones(3)}
    report = load_weights(make("hrnet_w18_small.features"), state)
    assert report.layout == "mm_backbone" and report.dropped == {"head.fc.weight": "names nothing in an HRNet"}
