"""The original files of the landmark data sets: the readers give back the faces that were drawn."""

import numpy as np
import pytest

from hrnet_fast.synthetic import face_scene, write_300w, write_aflw, write_cofw, write_wflw
from hrnet_fast.synthetic.files import scene_seed
from hrnet_fast.tasks import landmark
from tests.synthetic.alike import assert_about

SIZE = (161, 221)
IMAGES = 5
PRINTED = 5.1e-4  # the files have three digits


@pytest.mark.parametrize("layout", ["original", "official"])
def test_wflw_in_both_layouts(layout, tmp_path):
    write_wflw(tmp_path, IMAGES, 2, SIZE, layout=layout)
    samples = list(landmark.DATASETS["wflw"](tmp_path))
    assert len(samples) == IMAGES
    for index, sample in enumerate(samples):
        picture, face = face_scene(scene_seed(2, index), SIZE)
        np.testing.assert_allclose(sample.points.numpy(), face.landmarks, rtol=0, atol=PRINTED)
        assert set(sample.subsets) == {name for name, true in face.attributes.items() if true}
        assert_about(sample.image, picture)


def test_wflw_layouts_agree_on_the_boxes(tmp_path):
    boxes = []
    for layout in ("original", "official"):
        write_wflw(tmp_path / layout, IMAGES, 2, SIZE, layout=layout)
        boxes.append([sample.box for sample in landmark.DATASETS["wflw"](tmp_path / layout)])
    # The lists have squares, whose scale has few digits: the same middle, and the longer side.
    (tight, square) = (np.asarray(box) for box in boxes)
    np.testing.assert_allclose(tight[:, :2] + tight[:, 2:] / 2, square[:, :2] + square[:, 2:] / 2, atol=1e-2)
    np.testing.assert_allclose(tight[:, 2:].max(axis=1), square[:, 2], atol=1e-2)


@pytest.mark.parametrize("layout", ["original", "official"])
def test_300w_in_both_layouts(layout, tmp_path):
    write_300w(tmp_path, 6, 2, SIZE, layout=layout)
    whole = list(landmark.DATASETS["300w"](tmp_path))
    assert len(whole) == 6
    assert sorted(sample.subsets for sample in whole) == [("challenging",)] * 2 + [("common",)] * 4
    assert len(landmark.DATASETS["300w"](tmp_path, split="challenging")) == 2
    points = np.sort([sample.points.numpy()[30, 0] for sample in whole])
    scenes = []
    for index in range(6):
        hard = {"pose": True, "expression": True} if index % 3 == 0 else {"pose": False, "blur": False}
        scenes.append(face_scene(scene_seed(2, index), SIZE, **hard)[1].points(68)[30, 0])
    np.testing.assert_allclose(points, np.sort(scenes), rtol=0, atol=PRINTED)


def test_cofw_and_aflw(tmp_path):
    write_cofw(tmp_path / "cofw", IMAGES, 2, SIZE)
    write_aflw(tmp_path / "aflw", IMAGES, 2, SIZE)
    cofw, aflw = (list(landmark.DATASETS[name](tmp_path / name)) for name in ("cofw", "aflw"))
    assert len(cofw) == len(aflw) == IMAGES
    for index in range(IMAGES):
        picture, face = face_scene(scene_seed(2, index), SIZE)
        np.testing.assert_array_equal(cofw[index].image, picture)
        np.testing.assert_array_equal(cofw[index].points.numpy(), face.points(29))
        assert bool(cofw[index].subsets) == face.occluded(29).any()
        np.testing.assert_allclose(aflw[index].points.numpy(), face.points(19), rtol=0, atol=PRINTED)
        assert bool(aflw[index].subsets) == (not face.occluded(19).any())
        extent = np.ptp(face.points(19), axis=0).max()
        assert extent <= aflw[index].side < extent + 2


def test_cofw_is_a_matlab_file(tmp_path):
    content = (write_cofw(tmp_path, 1, 0, (64, 72)) / "COFW_test_color.mat").read_bytes()
    assert content.startswith(b"MATLAB 7.3 MAT-file")
    assert content[124:128] == b"\x00\x02IM"
    assert content[512:516] == b"\x89HDF"
