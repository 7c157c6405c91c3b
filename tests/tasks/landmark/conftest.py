"""Small data sets in their original formats, rendered and written here."""

import cv2
import h5py
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from hrnet_fast.synthetic import ATTRIBUTES, face_scene

SIZE = (96, 128)


def faces(count, points, size=SIZE):
    """[(picture, points, truth)], deterministic."""
    scenes = [face_scene(seed, size) for seed in range(count)]
    return [(picture, truth.points(points), truth) for picture, truth in scenes]


def save(path, picture):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


def center_scale(points):
    """As the official lists: the whole pixels around the points."""
    low, high = np.floor(points.min(0)), np.ceil(points.max(0))
    return (low + high) / 2, max(high - low) / 200


def list_row(name, points, box_size=None):
    center, scale = center_scale(points)
    middle = [] if box_size is None else [box_size]
    return ",".join(map(str, [name, scale, *middle, *center, *points.ravel()]))


def write_list(path, rows, points, box_size=False):
    titles = ["image_name", "scale", *(["box_size"] if box_size else []), "center_w", "center_h"]
    titles += [f"original_{k}_{axis}" for k in range(points) for axis in "xy"]
    path.write_text("\n".join([",".join(titles), *rows]) + "\n")


@pytest.fixture
def wflw_original(tmp_path):
    """Three faces in WFLW's own files; the boxes of its faces are wider than the points."""
    folder = tmp_path / "WFLW_annotations" / "list_98pt_rect_attr_train_test"
    folder.mkdir(parents=True)
    lines = []
    for index, (picture, points, truth) in enumerate(faces(3, 98)):
        name = f"{index}--Parade/{index}_Parade_{index}.jpg"
        save(tmp_path / "WFLW_images" / name, picture)
        left, top, right, bottom = (round(edge) for edge in truth.box)
        flags = [int(truth.attributes[name]) for name in ATTRIBUTES]
        numbers = [*np.round(points, 6).ravel(), left - 2, top - 3, right + 4, bottom + 5, *flags]
        lines.append(" ".join(map(str, [*numbers, name])))
    (folder / "list_98pt_rect_attr_test.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


@pytest.fixture
def wflw_lists(tmp_path):
    """Three faces in the official lists, the second and third in subsets."""
    rows = []
    for index, (picture, points, _) in enumerate(faces(3, 98)):
        save(tmp_path / "images" / f"{index}.jpg", picture)
        rows.append(list_row(f"{index}.jpg", points))
    write_list(tmp_path / "face_landmarks_wflw_test.csv", rows, 98)
    write_list(tmp_path / "face_landmarks_wflw_test_largepose.csv", rows[1:], 98)
    write_list(tmp_path / "face_landmarks_wflw_test_blur.csv", rows[2:], 98)
    return tmp_path


@pytest.fixture
def w300_original(tmp_path):
    """Two faces in each folder of 300W, as .pts files that count pixels from 1."""
    scenes = faces(2, 68)
    for folder in ("afw", "helen/trainset", "helen/testset", "lfpw/trainset", "lfpw/testset", "ibug", "300W/01_Indoor"):
        for index, (picture, points, _) in enumerate(scenes):
            path = tmp_path / folder / f"face_{index}.{'png' if index else 'jpg'}"
            save(path, picture)
            rows = "\n".join(f"{x:.6f} {y:.6f}" for x, y in points + 1)
            path.with_suffix(".pts").write_text(f"version: 1\nn_points:  68\n{{\n{rows}\n}}\n")
    (tmp_path / "300W" / "02_Outdoor").mkdir()
    return tmp_path


@pytest.fixture
def cofw_file(tmp_path):
    """Three faces as Matlab 7.3 writes cells of pictures; the last picture is grey."""
    scenes = faces(3, 29)
    with h5py.File(tmp_path / "COFW_test_color.mat", "w", userblock_size=512) as file:
        references = file.create_dataset("IsT", (1, 3), dtype=h5py.ref_dtype)
        rows = np.zeros((3, 87))
        for index, (picture, points, truth) in enumerate(scenes):
            pixels = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) if index == 2 else picture
            stored = file.create_dataset(f"#refs#/{index}", data=pixels.T)
            references[0, index] = stored.ref
            rows[index] = [*points[:, 0], *points[:, 1], *truth.occluded(29)]
        file["phisT"] = rows.T
    return tmp_path


@pytest.fixture
def aflw_lists(tmp_path):
    rows = []
    for index, (picture, points, _) in enumerate(faces(3, 19)):
        save(tmp_path / "images" / "0" / f"image{index:05d}.jpg", picture)
        rows.append(list_row(f"0/image{index:05d}.jpg", points, box_size=60.0 + index))
    write_list(tmp_path / "face_landmarks_aflw_test.csv", rows, 19, box_size=True)
    write_list(tmp_path / "face_landmarks_aflw_test_frontal.csv", rows[::2], 19, box_size=True)
    return tmp_path


@pytest.fixture
def aflw_original(tmp_path, monkeypatch):
    """Five faces in AFLWinfo_release.mat, in the order 3 1 5 2 4, of which the first two are for training."""
    monkeypatch.setattr("hrnet_fast.tasks.landmark.aflw.TRAINED", 2)
    names, data, boxes = np.empty((5, 1), dtype=object), np.zeros((5, 38)), np.zeros((5, 4))
    seen = np.ones((5, 19))
    for index, (picture, points, truth) in enumerate(faces(5, 19)):
        name = f"{index % 2}/image{index:05d}.jpg"
        save(tmp_path / "data" / "flickr" / name, picture)
        names[index, 0], data[index] = name, [*points[:, 0], *points[:, 1]]
        left, top, right, bottom = truth.box
        boxes[index] = left, right, top, bottom
    seen[3, 7] = 0
    savemat(
        tmp_path / "AFLWinfo_release.mat",
        {"nameList": names, "data": data, "bbox": boxes, "mask_new": seen, "ra": np.array([[3, 1, 5, 2, 4]])},
    )
    return tmp_path
