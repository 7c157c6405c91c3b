"""What is said of a figure is true of the picture."""

import numpy as np
import pytest

from hrnet_fast.synthetic import figure_scene
from hrnet_fast.synthetic.body import KINDS, LIMITS, joints, random_pose
from hrnet_fast.synthetic.people import COCO_KEYPOINTS, MPII_KEYPOINTS, SMALL_AREA

SIZE = (213, 301)


@pytest.fixture(scope="module")
def scenes():
    return [figure_scene(seed, SIZE) for seed in range(24)]


def everyone(scenes):
    return [person for _, people in scenes for person in people]


def test_pictures_are_rgb_bytes_of_the_size(scenes):
    for picture, people in scenes:
        assert (picture.shape, picture.dtype) == ((*SIZE, 3), np.uint8)
        assert picture.std() > 10
        assert people


def test_a_visible_keypoint_lies_on_its_figure(scenes):
    seen = 0
    for person in everyone(scenes):
        for x, y, mark in [*person.keypoints, *person.mpii]:
            if mark == 2:
                assert person.mask[round(y), round(x)]
                seen += 1
    assert seen > 500


def test_a_mark_of_0_is_outside_or_of_a_small_person(scenes):
    outside = 0
    for person in everyone(scenes):
        assert set(np.unique(person.keypoints[:, 2])) <= {0, 1, 2}
        for x, y, mark in person.keypoints:
            if mark == 0:
                assert (x, y) == (0, 0)
            else:
                assert -0.5 <= x <= SIZE[1] - 0.5
                assert -0.5 <= y <= SIZE[0] - 0.5
        if person.area >= SMALL_AREA and not person.crowd:
            outside += (person.keypoints[:, 2] == 0).sum()
        else:
            assert person.num_keypoints == 0
    assert outside > 0


def test_all_kinds_of_visibility_and_crowds_occur(scenes):
    people = everyone(scenes)
    marks = np.concatenate([person.keypoints[:, 2] for person in people])
    assert {0, 1, 2} == set(marks)
    assert any(person.crowd for person in people)
    assert any(not person.crowd for person in people)


def test_who_is_in_front_hides_who_is_behind():
    """Of two masks no pixel is shared, and a hidden keypoint's pixel often belongs to someone else."""
    others = 0
    for seed in range(12):
        _, people = figure_scene(seed, SIZE, people=5, crowds=False)
        covered = np.zeros(SIZE, int)
        for person in people:
            covered += person.mask
        assert covered.max() == 1
        for person in people:
            for x, y, mark in person.keypoints:
                others += mark == 1 and bool(covered[round(y), round(x)]) and not person.mask[round(y), round(x)]
    assert others > 10


def test_boxes_and_areas_are_those_of_the_masks(scenes):
    for person in everyone(scenes):
        rows, columns = np.nonzero(person.mask)
        x, y, width, height = person.box
        assert (x, y) == (columns.min(), rows.min())
        assert (x + width, y + height) == (columns.max() + 1, rows.max() + 1)
        assert person.area == len(rows)


def test_both_data_sets_agree_on_the_joints_that_they_share(scenes):
    pairs = [(COCO_KEYPOINTS.index(name), k) for k, name in enumerate(MPII_KEYPOINTS) if name in COCO_KEYPOINTS]
    assert len(pairs) == 12
    for person in everyone(scenes):
        if person.num_keypoints:
            for coco, mpii in pairs:
                np.testing.assert_array_equal(person.keypoints[coco], person.mpii[mpii])


def test_the_number_of_people_can_be_chosen():
    for count in (1, 4):
        _, people = figure_scene(3, SIZE, people=count, crowds=False)
        assert len(people) == count


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_poses_keep_to_the_joints_limits_and_the_bones_to_their_lengths(kind):
    import random

    for seed in range(20):
        pose = random_pose(random.Random(seed), kind)
        for name, angle in pose.angles.items():
            low, high = LIMITS[name.partition("_")[2] if name.startswith(("left_", "right_")) else name]
            assert low <= angle <= high
        places = joints(pose)
        for a, b, length in (("left_hip", "left_knee", 0.245), ("right_elbow", "right_wrist", 0.146)):
            assert np.linalg.norm(places[a] - places[b]) == pytest.approx(length)
        lowest = max(places[name][1] for name in places if not name.startswith("head_"))
        assert lowest < 0.03  # nothing reaches far below the ground


def test_unknown_pose_is_one_sentence():
    import random

    with pytest.raises(ValueError, match=r"unknown pose 'fly'; there are cheer, "):
        random_pose(random.Random(0), "fly")


def test_a_face_that_looks_away_shows_no_nose():
    import random

    from hrnet_fast.synthetic.canvas import Canvas
    from hrnet_fast.synthetic.figure import draw_figure
    from hrnet_fast.synthetic.outfits import random_outfit
    from hrnet_fast.synthetic.people import person_truth

    marks = {}
    for yaw in (0.0, 180.0):
        rng = random.Random(5)
        canvas = Canvas(np.full((400, 300, 3), 128.0))
        outfit = random_outfit(rng, hat="none", hair="bald", sunglasses=False)
        figure = draw_figure(canvas, random_pose(random.Random(1), "stand", yaw=yaw), outfit, (150, 380), 340)
        marks[yaw] = person_truth(canvas, figure).keypoints
    assert marks[0.0][:3, 2].tolist() == [2, 2, 2]
    assert marks[180.0][:3, 2].tolist() == [1, 1, 1]
    # The person's left is on the right of the picture when the person faces us, and on the left from behind.
    assert marks[0.0][5, 0] > marks[0.0][6, 0]
    assert marks[180.0][5, 0] < marks[180.0][6, 0]
