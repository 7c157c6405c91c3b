"""The readers of the four data sets, in the original formats and in the official lists."""

import h5py
import numpy as np
import pytest
import torch

from hrnet_fast.synthetic import ATTRIBUTES
from hrnet_fast.tasks.images import read_image
from hrnet_fast.tasks.landmark import DATASETS, open_300w, open_aflw, open_cofw, open_wflw
from hrnet_fast.tasks.landmark.boxes import box_of_points, square_of

from .conftest import SIZE, center_scale, faces, list_row, write_list


def truths(points, count):
    return [entry for _, entry, _ in faces(count, points)]


def agree(dataset, points):
    """Points are the true ones, to the six digits of the files, and each picture can be read."""
    samples = list(dataset)
    assert len(dataset) == len(samples)
    for sample, want in zip(samples, points, strict=True):
        assert sample.points.dtype == torch.float64
        np.testing.assert_allclose(sample.points, want, rtol=0, atol=1e-6)
        assert read_image(sample.image).shape == (*SIZE, 3)
    return samples


def test_the_uniform_names():
    assert set(DATASETS) == {"wflw", "300w", "cofw", "aflw"}


def test_wflw_original(wflw_original):
    samples = agree(open_wflw(wflw_original), truths(98, 3))
    for sample, (_, points, truth) in zip(samples, faces(3, 98)):
        assert sample.subsets == tuple(name for name in ATTRIBUTES if truth.attributes[name])
        center, scale = center_scale(points)
        assert square_of(sample.box) == pytest.approx([*center, 250 * scale])
    rect = next(iter(open_wflw(wflw_original, box="rect"))).box
    left, top, right, bottom = (round(edge) for edge in faces(1, 98)[0][2].box)
    assert rect == (left - 2, top - 3, right - left + 6, bottom - top + 8)


def test_wflw_lists_and_their_subsets(wflw_lists):
    dataset = open_wflw(wflw_lists)
    samples = agree(dataset, truths(98, 3))
    assert [sample.subsets for sample in samples] == [(), ("pose",), ("pose", "blur")]
    assert (dataset.name, dataset.split, dataset.points) == ("WFLW", "test", 98)


def test_both_forms_of_wflw_cut_out_the_same_squares(wflw_original, wflw_lists):
    """Both fixtures share a folder, where the lists win; the original files are read once they are gone."""
    by_list = [square_of(sample.box) for sample in open_wflw(wflw_lists)]
    (wflw_lists / "face_landmarks_wflw_test.csv").unlink()
    original = [square_of(sample.box) for sample in open_wflw(wflw_original)]
    np.testing.assert_array_equal(by_list, original)


@pytest.mark.parametrize(
    ("split", "count", "subsets"),
    [
        ("train", 6, {()}),
        ("full", 6, {("common",), ("challenging",)}),
        ("common", 4, {()}),
        ("challenging", 2, {()}),
        ("test", 2, {()}),
    ],
)
def test_300w_original(w300_original, split, count, subsets):
    root = w300_original / "above" / "ibug"  # whose own name is no subset
    root.parent.mkdir()
    root.symlink_to(w300_original)
    dataset = open_300w(root, split)
    samples = agree(dataset, truths(68, 2) * (count // 2))
    assert {sample.subsets for sample in samples} == subsets
    for sample in samples:
        assert sample.box == box_of_points(sample.points)


def test_300w_as_the_files_count(w300_original):
    sample = next(iter(open_300w(w300_original, "challenging", from_one=False)))
    np.testing.assert_allclose(sample.points, truths(68, 1)[0] + 1, rtol=0, atol=1e-6)


def test_300w_lists(w300_original):
    (w300_original / "images").mkdir()
    (w300_original / "ibug").rename(w300_original / "images" / "ibug")
    (w300_original / "helen").rename(w300_original / "images" / "helen")
    names = ["helen/testset/face_0.jpg", "ibug/face_1.png"]
    rows = [list_row(name, points) for name, points in zip(names, truths(68, 2))]
    write_list(w300_original / "face_landmarks_300w_valid.csv", rows, 68)
    samples = agree(open_300w(w300_original), truths(68, 2))
    assert [sample.subsets for sample in samples] == [("common",), ("challenging",)]


def test_cofw(cofw_file):
    dataset = open_cofw(cofw_file)
    samples = agree(dataset, truths(29, 3))
    for sample, (picture, points, truth) in zip(samples[:2], faces(2, 29)):
        assert torch.equal(read_image(sample.image), torch.from_numpy(picture))
        assert sample.box == box_of_points(torch.from_numpy(points))
        assert sample.subsets == (("occluded",) if truth.occluded(29).any() else ())
    assert samples[2].image.ndim == 2
    assert [len(list(dataset)) for _ in range(2)] == [3, 3]


def test_aflw_lists(aflw_lists):
    samples = agree(open_aflw(aflw_lists), truths(19, 3))
    assert [sample.side for sample in samples] == [60.0, 61.0, 62.0]
    assert [sample.subsets for sample in samples] == [("frontal",), (), ("frontal",)]
    agree(open_aflw(aflw_lists, "frontal"), truths(19, 3)[::2])


def test_aflw_original(aflw_original):
    points = truths(19, 5)
    agree(open_aflw(aflw_original, "train"), [points[2], points[0]])
    samples = agree(open_aflw(aflw_original), [points[4], points[1], points[3]])
    assert [sample.subsets for sample in samples] == [("frontal",), ("frontal",), ()]
    frontal = agree(open_aflw(aflw_original, "frontal"), [points[4], points[1]])
    assert {sample.subsets for sample in frontal} == {()}
    left, top, right, bottom = faces(5, 19)[4][2].box
    assert samples[0].side == pytest.approx(max(right - left, bottom - top))
    assert samples[0].box == pytest.approx((left, top, right - left, bottom - top))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("wflw", r"no .*face_landmarks_wflw_test\.csv: download WFLW_images and WFLW_annotations from https"),
        ("300w", "no .*helen/testset: download 300-W, AFW, HELEN"),
        ("cofw", r"no .*COFW_test_color\.mat: download COFW_color\.zip from https"),
        ("aflw", "no .*face_landmarks_aflw_test.csv: download AFLW's pictures from https"),
    ],
)
def test_nothing_there_says_what_to_download_and_where(name, words, tmp_path):
    with pytest.raises(FileNotFoundError, match=words) as error:
        DATASETS[name](tmp_path)
    assert str(tmp_path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["300w", "cofw", "aflw"])
def test_an_unknown_split(name, tmp_path):
    with pytest.raises(ValueError, match=r"has no split 'validation'; choose one of train, "):
        DATASETS[name](tmp_path, "validation")


def test_pictures_that_are_missing(wflw_lists):
    (wflw_lists / "images" / "0.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"no picture .*0\.jpg: download"):
        open_wflw(wflw_lists)


def edit(path, line, change):
    lines = path.read_text().splitlines()
    lines[line] = change(lines[line])
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda line: line.rsplit(",", 2)[0], "line 3 has 198 columns; 200 were expected"),
        (lambda line: line + ",1,2", "line 3 has 99 points; 98 were expected"),
        (lambda line: line.rsplit(",", 1)[0] + ",nan", "line 3 has a point that is not a number"),
        (lambda line: line.rsplit(",", 1)[0] + ",x7", "line 3 holds 'x7' where a number should be"),
        (lambda line: ",".join([line.split(",")[0], "0", *line.split(",")[2:]]), "line 3 has a box of no size"),
    ],
    ids=["missing-columns", "too-many", "nan", "text", "no-size"],
)
def test_damaged_lists(wflw_lists, change, words):
    edit(wflw_lists / "face_landmarks_wflw_test.csv", 2, change)
    with pytest.raises(ValueError, match=words):
        open_wflw(wflw_lists)


def test_a_list_with_a_box_size_of_nothing(aflw_lists):
    edit(aflw_lists / "face_landmarks_aflw_test.csv", 1, lambda line: line.replace(",60.0,", ",0.0,", 1))
    with pytest.raises(ValueError, match="line 2 has a box of no size"):
        open_aflw(aflw_lists)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda line: line.split(" ", 3)[3], "line 2 has 204 columns; 207 were expected"),
        (lambda line: "nan " + line.split(" ", 1)[1], "line 2 has a point that is not a number"),
        (lambda line: "a " + line.split(" ", 1)[1], "line 2 holds 'a'"),
    ],
    ids=["missing-columns", "nan", "text"],
)
def test_damaged_wflw_files(wflw_original, change, words):
    path = next(wflw_original.rglob("list_98pt_rect_attr_test.txt"))
    edit(path, 1, change)
    with pytest.raises(ValueError, match=words):
        open_wflw(wflw_original)


def test_a_quote_that_is_never_closed(wflw_lists):
    edit(wflw_lists / "face_landmarks_wflw_test.csv", 2, lambda line: '"' + line + 100_000 * ", 0")
    with pytest.raises(ValueError, match="wflw_test.csv, line 3, is not of a list of faces: field larger"):
        open_wflw(wflw_lists)


def test_wflw_names_may_hold_spaces(wflw_original):
    path = next(wflw_original.rglob("list_98pt_rect_attr_test.txt"))
    picture = wflw_original / "WFLW_images" / "0--Parade" / "0_Parade_0.jpg"
    picture.rename(picture.with_name("a b.jpg"))
    edit(path, 0, lambda line: line.replace("0_Parade_0.jpg", "a b.jpg"))
    assert next(iter(open_wflw(wflw_original))).image.name == "a b.jpg"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("version: 1\nn_points: 68\n{\n1 2\n", "is not a .pts file, or it is cut off"),
        ("version: 1\nn_points: 3\n{\n1 2\n3 4\n5 6\n}\n", "has 3 points; 68 were expected"),
        ("", "is not a .pts file"),
    ],
    ids=["cut-off", "three-points", "empty"],
)
def test_damaged_pts(w300_original, text, words):
    (w300_original / "ibug" / "face_1.pts").write_text(text)
    with pytest.raises(ValueError, match=words):
        open_300w(w300_original, "challenging")


def test_a_pts_without_its_picture(w300_original):
    (w300_original / "ibug" / "face_1.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"no picture beside .*face_1\.pts"):
        open_300w(w300_original, "challenging")


def test_an_empty_set(wflw_lists, w300_original):
    write_list(wflw_lists / "face_landmarks_wflw_test.csv", [], 98)
    with pytest.raises(ValueError, match="wflw_test.csv has no faces"):
        open_wflw(wflw_lists)
    for path in (w300_original / "ibug").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match="has no faces"):
        open_300w(w300_original, "challenging")


def test_cofw_that_is_something_else(cofw_file):
    path = cofw_file / "COFW_test_color.mat"
    with h5py.File(path, "r+") as file:
        del file["phisT"]
    with pytest.raises(ValueError, match="has no IsT and phisT"):
        open_cofw(cofw_file)
    with h5py.File(path, "r+") as file:
        file["phisT"] = np.zeros((58, 3))
    with pytest.raises(ValueError, match=r"phisT is \(3, 58\) for 3 pictures; \(pictures, 87\) was expected"):
        open_cofw(cofw_file)
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(ValueError, match="is not a Matlab 7.3 file"):
        open_cofw(cofw_file)


def test_cofw_that_is_damaged(cofw_file):
    path = cofw_file / "COFW_test_color.mat"
    with h5py.File(path, "r+") as file:
        del file["IsT"]
        file.create_group("IsT")
    with pytest.raises(
        ValueError, match="COFW_test_color.mat is not a Matlab 7.3 file .HDF5., or it is cut off or dam"
    ):
        open_cofw(cofw_file)


def test_cofw_with_a_point_that_is_no_number(cofw_file):
    with h5py.File(cofw_file / "COFW_test_color.mat", "r+") as file:
        file["phisT"][3, 1] = np.nan
    with pytest.raises(ValueError, match="face 1 has a point that is not a number"):
        list(open_cofw(cofw_file))


def test_aflw_that_is_something_else(aflw_original):
    (aflw_original / "AFLWinfo_release.mat").write_bytes(b"MATLAB")
    with pytest.raises(ValueError, match=r"is not AFLWinfo_release\.mat, or it is damaged"):
        open_aflw(aflw_original)
