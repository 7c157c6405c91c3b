"""Each data set in its own layout, with what is missing or damaged named in one sentence."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from hrnet_fast.synthetic import write_cityscapes
from hrnet_fast.tasks.segmentation import DATASETS, Cityscapes, LookIntoPerson, PascalContext, PascalContext60
from hrnet_fast.tasks.segmentation.classes import PASCAL_CONTEXT60
from hrnet_fast.tasks.segmentation.pascal_context import CONTEXT_IDS


def put(path: Path, values, mode=None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(np.asarray(values))
    if mode == "P":
        picture.putpalette([i // 3 for i in range(768)])
    picture.save(path)
    return path


def rgb(height=6, width=8):
    return np.full((height, width, 3), 90, np.uint8)


def make_lip(root):
    truth = np.arange(48, dtype=np.uint8).reshape(6, 8) % 20
    for key in ("b_2", "a_1"):
        put(root / "TrainVal_images" / "val_images" / f"{key}.jpg", rgb())
        put(root / "TrainVal_parsing_annotations" / "val_segmentations" / f"{key}.png", truth, "P")
    return truth


def make_context_masks(root):
    voc = root / "VOCdevkit" / "VOC2010"
    truth = np.arange(60, dtype=np.uint8).reshape(6, 10)
    put(voc / "JPEGImages" / "2008_000002.jpg", rgb(6, 10))
    put(voc / "SegmentationClassContext" / "2008_000002.png", truth)
    listed = voc / "ImageSets" / "SegmentationContext" / "val.txt"
    listed.parent.mkdir(parents=True)
    listed.write_text("2008_000002\n")
    return truth


def make_context_mats(root):
    voc = root / "VOCdevkit" / "VOC2010"
    truth = np.arange(460, dtype=np.uint16).reshape(20, 23)
    put(voc / "JPEGImages" / "2008_000002.jpg", rgb(20, 23))
    (root / "trainval").mkdir()
    savemat(root / "trainval" / "2008_000002.mat", {"LabelMap": truth})
    listed = voc / "ImageSets" / "Main" / "val.txt"
    listed.parent.mkdir(parents=True)
    listed.write_text("2008_000002\n")
    return truth


def test_cityscapes_ids_become_train_ids(tmp_path):
    write_cityscapes(tmp_path, images=2, size=(64, 128))
    dataset = Cityscapes(tmp_path)
    assert len(dataset) == 2
    for sample in dataset:
        ids = np.array(Image.open(next(tmp_path.glob(f"gtFine/val/*/{sample.key}_gtFine_labelIds.png"))))
        truth = sample.truth()
        assert truth.shape == (64, 128) and truth.dtype == torch.uint8
        for label, train_id in {7: 0, 11: 2, 26: 13, 33: 18, 1: 255, 3: 255, 9: 255, 29: 255}.items():
            assert truth.numpy()[ids == label].tolist() == [train_id] * int((ids == label).sum())
        instances = sample.instances()
        assert instances.dtype == torch.int32 and instances.shape == (64, 128)
        assert np.array_equal(instances // 1000, np.where(instances >= 1000, ids, 0))


def test_cityscapes_test_split_has_no_truth(tmp_path):
    write_cityscapes(tmp_path, images=1, size=(32, 64), split="test")
    (sample,) = Cityscapes(tmp_path, "test")
    assert sample.truth is None and sample.image.is_file()


def test_lip_takes_every_annotated_picture_or_those_listed(tmp_path):
    truth = make_lip(tmp_path)
    dataset = LookIntoPerson(tmp_path)
    assert [sample.key for sample in dataset] == ["a_1", "b_2"]
    assert np.array_equal(next(iter(dataset)).truth().numpy(), truth)
    (tmp_path / "TrainVal_images" / "val_id.txt").write_text("b_2\n")
    assert [sample.key for sample in LookIntoPerson(tmp_path)] == ["b_2"]


def test_context_masks_with_and_without_background(tmp_path):
    truth = make_context_masks(tmp_path)
    (sample,) = PascalContext60(tmp_path)
    assert np.array_equal(sample.truth().numpy(), truth)
    (sample,) = PascalContext(tmp_path)
    without = sample.truth().numpy()
    assert without[0, 0] == 255 and np.array_equal(without.ravel()[1:], np.arange(59))
    assert len(PascalContext(tmp_path / "VOCdevkit" / "VOC2010")) == 1


def test_context_masks_may_leave_pixels_out_and_hold_no_other_label(tmp_path):
    truth = make_context_masks(tmp_path)
    path = tmp_path / "VOCdevkit/VOC2010/SegmentationClassContext/2008_000002.png"
    truth[1, :2] = 255
    put(path, truth)
    for dataset in (PascalContext, PascalContext60):
        assert next(iter(dataset(tmp_path))).truth()[1, :3].tolist() == [255, 255, 12 - (dataset is PascalContext)]
    truth[1, 0] = 60
    put(path, truth)
    for dataset in (PascalContext, PascalContext60):
        with pytest.raises(ValueError, match="holds the label 60, which its data set does not have"):
            next(iter(dataset(tmp_path))).truth()


def test_context_annotations_of_the_authors(tmp_path):
    ids = make_context_mats(tmp_path)
    (sample,) = PascalContext60(tmp_path)
    truth = sample.truth().numpy()
    for label, number in enumerate(CONTEXT_IDS, start=1):
        assert truth[ids == number] == label
    assert (truth == 0).sum() == 460 - 59
    (sample,) = PascalContext(tmp_path)
    assert np.array_equal(sample.truth().numpy(), np.where(truth == 0, 255, truth - 1))


def test_context_classes_stand_in_the_order_of_their_ids():
    assert list(CONTEXT_IDS) == sorted(CONTEXT_IDS) and len(CONTEXT_IDS) == 59
    assert list(PASCAL_CONTEXT60.names[1:]) == sorted(PASCAL_CONTEXT60.names[1:])
    # known pairs: id 284 is person, 360 sky, 427 tvmonitor (what image 2008_000002 shows)
    by_id = dict(zip(CONTEXT_IDS, PASCAL_CONTEXT60.names[1:]))
    assert (by_id[284], by_id[360], by_id[427], by_id[2], by_id[458]) == (
        "person", "sky", "tvmonitor", "aeroplane", "wood",
    )  # fmt: skip


@pytest.mark.parametrize("name", DATASETS)
def test_a_missing_data_set_says_what_to_download(name, tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        DATASETS[name](tmp_path)
    sentence = str(caught.value)
    assert str(tmp_path) in sentence and ("download" in sentence or "unpack" in sentence)
    assert "\n" not in sentence


@pytest.mark.parametrize("name", DATASETS)
def test_an_unknown_split_is_named(name, tmp_path):
    with pytest.raises(ValueError, match="has no split 'dev'; choose one of train, val"):
        DATASETS[name](tmp_path, "dev")


def test_context_without_the_list_says_so(tmp_path):
    make_context_masks(tmp_path)
    (tmp_path / "VOCdevkit/VOC2010/ImageSets/SegmentationContext/val.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"there is no .*val.txt.*unpack VOCtrainval_03-May-2010.tar"):
        PascalContext(tmp_path)


DAMAGE = {
    "missing": (lambda path: path.unlink(), FileNotFoundError, "there is no label image .*: the annotations are inc"),
    "cut-off": (lambda path: path.write_bytes(path.read_bytes()[:60]), ValueError, "is cut off or damaged"),
    "text": (lambda path: path.write_text("no picture"), ValueError, "is not a picture"),
    "colours": (lambda path: put(path, rgb()), ValueError, r"holds uint8 of shape \(6, 8, 3\), not 8-bit labels"),
    "bad header": (
        lambda path: path.write_bytes(path.read_bytes()[:11] + b"\x05IHDR" + bytes(99)),
        ValueError,
        "damaged",
    ),
    "sixteen-bits": (lambda path: put(path, np.full((6, 8), 400, np.uint16)), ValueError, "is no label image"),
}


@pytest.mark.parametrize(("damage", "kind", "sentence"), DAMAGE.values(), ids=DAMAGE)
def test_damaged_labels_are_named(damage, kind, sentence, tmp_path):
    make_lip(tmp_path)
    (tmp_path / "val_id.txt").write_text("a_1\nb_2\n")
    damage(tmp_path / "TrainVal_parsing_annotations" / "val_segmentations" / "a_1.png")
    sample = next(iter(LookIntoPerson(tmp_path)))
    with pytest.raises(kind, match=sentence) as caught:
        sample.truth()
    assert "a_1.png" in str(caught.value) and "\n" not in str(caught.value)


def test_labels_that_the_data_set_does_not_have_are_named(tmp_path):
    write_cityscapes(tmp_path, images=1, size=(32, 64))
    put(next(tmp_path.glob("gtFine/val/*/*_labelIds.png")), np.full((32, 64), 77, np.uint8))
    make_lip(tmp_path)
    put(tmp_path / "TrainVal_parsing_annotations" / "val_segmentations" / "a_1.png", np.full((6, 8), 77, np.uint8))
    for dataset in (Cityscapes(tmp_path), LookIntoPerson(tmp_path)):
        with pytest.raises(ValueError, match="holds the label 77, which its data set does not have"):
            next(iter(dataset)).truth()


@pytest.mark.parametrize("content", ["no-map", "text", "large"])
def test_damaged_annotations_of_the_authors_are_named(content, tmp_path):
    make_context_mats(tmp_path)
    path = tmp_path / "trainval" / "2008_000002.mat"
    if content == "text":
        path.write_text("no annotation")
    else:
        savemat(path, {"LabelMap" if content == "large" else "Other": np.full((4, 4), 900, np.uint16)})
    unread = f"{path} is not an annotation of PASCAL-Context, or it is damaged: "
    sentence = {"no-map": f"{unread}'LabelMap'", "text": unread, "large": f"{path} holds the id 900"}[content]
    with pytest.raises(ValueError, match=re.escape(sentence)):
        next(iter(PascalContext(tmp_path))).truth()


def test_a_missing_annotation_of_the_authors_is_named(tmp_path):
    make_context_mats(tmp_path)
    path = tmp_path / "trainval" / "2008_000002.mat"
    path.unlink()
    with pytest.raises(FileNotFoundError, match=f"there is no annotation {path}: the annotations are incomplete"):
        next(iter(PascalContext(tmp_path))).truth()


def test_annotations_of_the_authors_need_scipy(tmp_path, monkeypatch):
    make_context_mats(tmp_path)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(RuntimeError, match="Matlab's files need SciPy"):
        next(iter(PascalContext(tmp_path))).truth()
