"""Reading ImageNet in its layouts."""

import numpy as np
import pytest
import scipy.io
import torchvision

from hrnet_fast.tasks.classification import DATASETS, ImageNet
from hrnet_fast.tasks.classification.devkit import _number

from .conftest import WNIDS, save_noise


def write_devkit(root, truth, ids):
    """As ILSVRC2012_devkit_t12: ids[k] is the ILSVRC2012_ID of WNIDS[k]; an inner node of the tree comes after 1000."""
    data = root / "ILSVRC2012_devkit_t12" / "data"
    data.mkdir(parents=True)
    synsets = np.zeros(len(ids) + 1, dtype=[("ILSVRC2012_ID", "f8"), ("WNID", "O"), ("words", "O")])
    for entry, number, wnid in zip(synsets, [*ids, 1001], [*WNIDS, "n00000000"]):
        entry["ILSVRC2012_ID"], entry["WNID"], entry["words"] = number, wnid, "words"
    scipy.io.savemat(data / "meta.mat", {"synsets": synsets[:, None]})
    (data / "ILSVRC2012_validation_ground_truth.txt").write_text("".join(f"{number}\n" for number in truth))


def test_folders_come_as_torchvision_gives_them(folders):
    ours = DATASETS["imagenet"](folders)
    want = torchvision.datasets.ImageFolder(folders / "val")
    assert ours.classes == tuple(want.classes) == WNIDS
    assert [(str(s.image), s.label) for s in ours] == want.samples
    assert (len(ours), ours.num_classes) == (6, 3)
    assert [s.key for s in ours][:2] == ["n01440764/n01440764_0.JPEG", "n01440764/n01440764_1.png"]


def test_the_official_images_folder(folders):
    (folders / "images").mkdir()
    (folders / "val").rename(folders / "images" / "val")
    assert len(ImageNet(folders)) == 6


def test_flat_with_numbers(flat):
    lines = [f"ILSVRC2012_val_{number:08d}.JPEG {number % 3}\n" for number in (4, 2, 1, 3)]
    (flat / "val.txt").write_text("".join(lines) + "\n")
    dataset = ImageNet(flat)
    assert [sample.label for sample in dataset] == [1, 2, 0, 1]
    assert (dataset.classes, dataset.num_classes) == ((), 3)


def test_flat_with_names_commas_and_folders(flat):
    lines = [f"val/ILSVRC2012_val_{number:08d}.JPEG, {WNIDS[number % 2]}\n" for number in range(1, 5)]
    (flat / "truth.csv").write_text("".join(lines))
    dataset = ImageNet(flat, labels=flat / "truth.csv")
    assert dataset.classes == WNIDS[:2]
    assert [sample.label for sample in dataset] == [1, 0, 1, 0]


def test_a_list_gives_the_labels_of_pictures_in_folders(folders):
    want = [(sample.image, 2 - sample.label, sample.key) for sample in ImageNet(folders)]
    (folders / "turned.txt").write_text("".join(f"{key} {label}\n" for _, label, key in want))
    assert [(s.image, s.label, s.key) for s in ImageNet(folders, labels=folders / "turned.txt")] == want
    save_noise(folders / "val" / "again" / want[0][0].name, 5, 5, 0)
    with pytest.raises(ValueError, match=r"n01440764_0\.JPEG have one name, and labels go by names"):
        ImageNet(folders, labels=folders / "turned.txt")


def test_flat_with_the_devkit_numbers_classes_by_wordnet_id(flat):
    write_devkit(flat, truth=[5, 9, 2, 5], ids=[9, 2, 5])
    dataset = ImageNet(flat)
    assert (dataset.classes, dataset.num_classes) == (WNIDS, 3)
    assert [sample.label for sample in dataset] == [2, 0, 1, 2]


def test_nothing_there_says_what_to_download_and_where(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*val: download ILSVRC2012_img_val\.tar .*val/n01440764"):
        ImageNet(tmp_path)


def test_pictures_without_labels(flat):
    with pytest.raises(FileNotFoundError, match="has no labels: download"):
        ImageNet(flat)


def test_an_empty_split(tmp_path):
    (tmp_path / "val").mkdir()
    with pytest.raises(FileNotFoundError, match="holds no pictures"):
        ImageNet(tmp_path)


def test_an_empty_class_folder(folders):
    (folders / "val" / "n09999999").mkdir()
    with pytest.raises(FileNotFoundError, match="n09999999 holds no pictures"):
        ImageNet(folders)


def test_a_picture_without_a_label_is_named(flat):
    (flat / "val.txt").write_text("ILSVRC2012_val_00000001.JPEG 0\n")
    with pytest.raises(ValueError, match="3 pictures of .* the first is ILSVRC2012_val_00000002.JPEG"):
        ImageNet(flat)


@pytest.mark.parametrize(
    ("text", "words"), [("one\n", "line 1: 'one' is not"), ("\n", "has no labels")], ids=["one-column", "empty"]
)
def test_damaged_lists(flat, text, words):
    (flat / "val.txt").write_text(text)
    with pytest.raises(ValueError, match=words):
        ImageNet(flat)


def test_a_devkit_that_knows_too_few_pictures(flat):
    write_devkit(flat, truth=[5, 9], ids=[9, 2, 5])
    with pytest.raises(ValueError, match=r"ILSVRC2012_val_00000003.JPEG is not one of"):
        ImageNet(flat)


def test_pictures_are_counted_from_one():
    with pytest.raises(ValueError, match="00000000.JPEG is not one of"):
        _number("ILSVRC2012_val_00000000.JPEG", 5)


def test_a_ground_truth_with_an_unknown_id(flat):
    write_devkit(flat, truth=[5, 9, 2, 77], ids=[9, 2, 5])
    with pytest.raises(ValueError, match="holds 77, which is not an id"):
        ImageNet(flat)


def test_a_meta_file_of_something_else(flat):
    write_devkit(flat, truth=[5, 9, 2, 5], ids=[9, 2, 5])
    scipy.io.savemat(flat / "ILSVRC2012_devkit_t12" / "data" / "meta.mat", {"other": 1})
    with pytest.raises(ValueError, match="is not the devkit's meta.mat"):
        ImageNet(flat)


def test_other_files_beside_pictures_are_passed_over(folders):
    (folders / "val" / WNIDS[0] / "Thumbs.db").write_bytes(b"x")
    save_noise(folders / "val" / WNIDS[0] / "deep" / "a.JPG", 5, 5, 0)
    (folders / "val" / WNIDS[0] / "deep" / "a.JPG").touch()
    want = torchvision.datasets.ImageFolder(folders / "val")
    assert [(str(s.image), s.label) for s in ImageNet(folders)] == want.samples
