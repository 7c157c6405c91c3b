"""Unknown names are met with those that were probably meant."""

import pytest

from hrnet_fast.models import UnknownModelError, create_model, model_config

CASES = {
    "a tag's beginning": (
        "hrnet_w32.pose",
        ["hrnet_w32.pose_coco_256x192", "hrnet_w32.pose_coco_384x288", "hrnet_w32.pose_mpii_256x256"],
    ),
    "a slip in the tag": ("hrnet_w32.pose_coco_256x129", ["hrnet_w32.pose_coco_256x192"]),
    "a slip in the architecture": ("hrnet32.pose_coco_256x192", ["hrnet_w32.pose_coco_256x192"]),
    "slips in both": ("hrnet-w48.seg_cityscape", ["hrnet_w48.seg_cityscapes"]),
    "a slip in a small one": ("hrnet_w18_smal.cls_in1k", ["hrnet_w18_small.cls_in1k"]),
    "capitals": ("HRNet_W32.Features", ["hrnet_w32.features"]),
    "another width": ("hrnet_w24.featurs", ["hrnet_w24.features"]),
    "timm's tag": ("hrnet_w18.ms_in1k", ["hrnet_w18.cls_in1k"]),
    "no tag": ("hrnet_w32", ["hrnet_w32.cls_in1k", "hrnet_w32.pose_coco_256x192"]),
    "underscore for the dot": ("hrnet_w32_pose_coco_256x192", ["hrnet_w32.pose_coco_256x192"]),
    "a classifier of the paper": ("hrnet_w44.cls", ["hrnet_w44.cls_in1k", "hrnet_w44.cls_bottleneck_in1k"]),
}


@pytest.mark.parametrize(("name", "first"), CASES.values(), ids=CASES)
def test_the_closest_names_are_suggested(name, first):
    with pytest.raises(UnknownModelError) as caught:
        create_model(name)
    suggested = str(caught.value).partition("did you mean ")[2].removesuffix("?").split(" or ")
    assert suggested[: len(first)] == [repr(wanted) for wanted in first]
    assert len(suggested) <= 3
    for each in suggested:
        assert model_config(each.strip("'")).name == each.strip("'")


def test_nothing_is_suggested_for_another_network():
    with pytest.raises(UnknownModelError, match=r"see hrnet_fast\.list_models\(\)"):
        create_model("resnet50")
