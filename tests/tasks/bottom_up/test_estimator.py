"""BottomUpPoseEstimator: planted people from end to end, pictures of all sizes, options, bad input."""

import numpy as np
import pytest
import torch
from torch import nn

from hrnet_fast import PoseEstimator, create_model
from hrnet_fast.tasks.bottom_up import COCO, CROWDPOSE, BottomUpPoseEstimator, draw, to_json
from hrnet_fast.tasks.bottom_up.grouping import Grouping
from hrnet_fast.tasks.images import ImageError
from hrnet_fast.tasks.stages import Stages
from tests.tasks.bottom_up.planted import NAME, people, seeing

SIZE = (240, 320)
PICTURE = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)


@pytest.fixture(scope="module")
def estimator():
    return BottomUpPoseEstimator(NAME, short_side=64)


def check(found, planted, limit):
    """Each planted person is found once, with all its keypoints within `limit` pixels and no high one more."""
    assert len(found) == len(planted)
    taken = set()
    for truth in planted:
        there = truth[:, 2] > 0
        errors = [np.abs(person.keypoints.numpy() - truth[:, :2])[there].max() for person in found]
        best = int(np.argmin(errors))
        assert errors[best] <= limit and best not in taken
        taken.add(best)
        scores = found[best].scores.numpy()
        # between two pixels of a map its highest one is lower than the peak
        np.testing.assert_allclose(scores[there], truth[there, 2], atol=0.06)
        assert (scores[~there] < 0.1).all()
        assert found[best].score == pytest.approx(scores[there].sum() / 17, abs=1e-6)


def test_people_of_keypoints_below_0_have_a_box():
    """Where the threshold lets in what is not there: of heights of 0, which stand for peaks that are missing."""
    estimator = BottomUpPoseEstimator(NAME, short_side=64, refine=False, grouping=Grouping(detection_threshold=-0.5))
    assert all(min(person.box[2:]) >= 0 for person in estimator(PICTURE))


OPTIONS = {
    "official": {},
    "no flip": {"flip_test": False},
    "three scales": {"scales": (0.5, 1, 2)},
    "two scales": {"scales": (1, 2), "flip_test": False},
    "half the scale": {"scales": (0.5,)},
    "not projected": {"project": False},
    "three scales, not projected": {"project": False, "scales": (0.5, 1, 2)},
    "as they are": {"refine": False},
}


@pytest.mark.parametrize("count", [1, 3, 8])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_planted_people_are_found_where_they_are(options, count):
    planted = people(count, count, *SIZE, absent=0.2)
    estimator = seeing(planted, [3.0 * p for p in range(count)], SIZE, **options)
    # the finest maps have half the size of their view; where they are enlarged to that of another one, peaks stay
    pixels = max(1, 1 / max(estimator.scales)) if estimator.project else 2 / max(estimator.scales)
    check(estimator(PICTURE), planted, 0.75 * pixels * 240 / 256)


@pytest.mark.parametrize("size", [(64, 64), (65, 47), (33, 98), (480, 361), (20, 30), (7, 11), (90, 1100)], ids=str)
def test_pictures_of_all_sizes(size):
    planted = people(5, 2, *size)
    found = seeing(planted, [0.0, 4.0], size)(np.zeros((*size, 3), np.uint8))
    check(found, planted, 0.75 * min(size) / 256)


def test_views_of_several_scales_show_what_the_smallest_one_does():
    """240 x 300 alone is seen as 256 x 320, but as 256 x 384 where 128 x 192 is looked at too."""
    size = (240, 300)
    planted = people(7, 2, *size)
    for scales in ((1,), (0.5, 1), (0.5, 1, 2)):
        found = seeing(planted, [0.0, 4.0], size, scales=scales)(np.zeros((*size, 3), np.uint8))
        check(found, planted, 0.75 * 240 / 256)


def test_an_empty_picture_has_nobody():
    assert seeing([], [], SIZE)(PICTURE) == []


@pytest.mark.parametrize("tags", [[0.0, 0.25], [7.0, 7.0]])
def test_people_with_alike_tags_are_taken_for_one(tags):
    """Their keypoints of one kind cannot both be its own, so others begin people: the planted ones are mixed."""
    planted = people(1, 2, *SIZE)
    found = seeing(planted, tags, SIZE)(PICTURE)
    errors = [np.abs(one.keypoints.numpy() - truth[:, :2]).max() for one in found for truth in planted]
    assert min(errors) > 20


def test_the_order_of_people_means_nothing():
    planted, tags = people(2, 4, *SIZE, absent=0.1), [0.0, 3.0, 6.0, 9.0]
    order = [2, 0, 3, 1]
    first = seeing(planted, tags, SIZE)(PICTURE)
    other = seeing(planted[order], [tags[i] for i in order], SIZE)(PICTURE)
    assert to_json(first) == to_json(other)


def test_a_mirrored_picture_has_mirrored_people():
    planted = people(4, 3, *SIZE)
    mirrored = planted[:, COCO.swap].copy()
    mirrored[..., 0] = SIZE[1] - mirrored[..., 0]  # about the middle that the views have
    one, other = (seeing(p, [0.0, 3.0, 6.0], SIZE)(PICTURE) for p in (planted, mirrored))
    check(other, mirrored, 0.75 * 240 / 256)
    # a few roundings of float32 in another order
    assert [p.score for p in one] == pytest.approx([p.score for p in other], rel=2.0**-20)


def test_views_and_mirror_images_go_through_the_network():
    estimator = seeing([], [], SIZE, scales=(0.5, 1, 2))
    estimator(PICTURE)
    assert estimator.network.shapes == [(2, 512, 768), (2, 256, 384), (2, 128, 192)]
    estimator = seeing([], [], SIZE, flip_test=False)
    estimator(PICTURE)
    assert estimator.network.shapes == [(1, 256, 384)]


def test_results_are_what_they_say():
    planted = people(6, 2, *SIZE, absent=0.5)
    found = seeing(planted, [0.0, 3.0], SIZE)(PICTURE)
    assert [p.score for p in found] == sorted((p.score for p in found), reverse=True)
    for person in found:
        assert (person.box_source, person.box_score, person.skeleton) == ("keypoints", 1.0, COCO)
        seen = person.keypoints[person.scores > 0]
        x, y, width, height = person.box
        assert seen.amin(0).tolist() == [x, y] and seen.amax(0).tolist() == pytest.approx([x + width, y + height])
        assert person.keypoints.dtype == person.scores.dtype == torch.float32
    encoded = to_json(found)["people"][0]
    assert encoded["keypoints"][3] == [*found[0].keypoints[3].tolist(), found[0].scores[3].item()]
    assert encoded["box_source"] == "keypoints" and encoded["skeleton"] == "coco"


def test_everyone_is_drawn():
    planted = people(1, 2, *SIZE)
    black = np.zeros((*SIZE, 3), np.uint8)
    drawn = np.asarray(draw(black, seeing(planted, [0.0, 3.0], SIZE)(black)))
    for x, y, _ in planted.reshape(-1, 3):
        assert drawn[round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2].any()


def test_batches_equal_one_at_a_time_and_stages_are_told(estimator):
    pictures = [PICTURE, PICTURE[:100, :90], PICTURE[:7, :9]]
    stages = Stages()
    together = estimator.batch(pictures, stages=stages)
    assert [to_json(found) for found in together] == [to_json(estimator(picture)) for picture in pictures]
    assert list(stages.seconds) == ["read", "resize", "network", "maps", "group"]
    assert any(together) and estimator.batch([]) == []


def test_pictures_stream_through():
    read = []

    def pictures():
        for number in range(3):
            read.append(number)
            yield PICTURE

    next(seeing([], [], SIZE).stream(pictures()))
    assert read == [0]


def test_a_module_of_another_code_base_is_taken(estimator):
    class Theirs(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = create_model(NAME)

        def forward(self, x):
            return self.body(x)

    other = BottomUpPoseEstimator(Theirs(), short_side=64)
    assert (other.network.name, other.network.num_outputs, other.short_side) == ("Theirs", 17, 64)
    assert len(other(PICTURE)) >= 0 and BottomUpPoseEstimator(Theirs()).short_side == 512


def test_crowdpose_has_fourteen_keypoints():
    estimator = BottomUpPoseEstimator("hrnet_w18_small.pose_higher_crowdpose_512x512", short_side=64)
    assert estimator.skeleton == CROWDPOSE
    # lib/dataset/transforms/build.py
    assert CROWDPOSE.swap == [1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 12, 13]
    assert all(person.keypoints.shape == (14, 2) for person in estimator(PICTURE))


def test_the_short_side_is_the_models_own():
    assert BottomUpPoseEstimator("hrnet_w18_small.pose_higher_coco_640x640").short_side == 640
    estimator = BottomUpPoseEstimator(NAME, short_side=100)
    assert estimator.short_side == 100 and estimator.network.input_size == (128, 128)


BAD = {
    "scales": ({"scales": (0.5, 2)}, r"scales \(0.5, 2\) must hold 1"),
    "short side": ({"short_side": 0}, "short_side is 0; it must be at least 1"),
    "skeleton": ({"skeleton": CROWDPOSE}, "the skeleton 'crowdpose' has 14 keypoints and .* 17; they must agree"),
}


@pytest.mark.parametrize(("options", "sentence"), BAD.values(), ids=BAD)
def test_bad_options_get_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        BottomUpPoseEstimator(NAME, **options)


def test_networks_of_other_tasks_are_refused():
    with pytest.raises(ValueError, match="'pose', which belongs to pose; bottom_up takes models with the head 'pose_h"):
        BottomUpPoseEstimator("hrnet_w18_small.pose_coco_256x192")
    with pytest.raises(ValueError, match="'pose_higher', which belongs to bottom_up; pose takes models"):
        PoseEstimator(NAME)
    foreign = nn.Sequential(nn.Conv2d(3, 34, 3, 4, 1))
    with pytest.raises(ValueError, match=r"bottom_up reads \(N, 2K, h, w\) heatmaps and tags and \(N, K, 2h, 2w\)"):
        BottomUpPoseEstimator(foreign)


def test_bad_pictures_get_one_sentence(estimator):
    with pytest.raises(ImageError, match="a picture of 101 x 1 pixels is too narrow for a short side of 64"):
        estimator(np.zeros((1, 101, 3), np.uint8))
    with pytest.raises(TypeError, match="must be uint8"):
        estimator(np.zeros((8, 8, 3)))
    with pytest.raises(FileNotFoundError, match=r"there is no picture none\.jpg"):
        estimator("none.jpg")
