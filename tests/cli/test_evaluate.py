"""hrnet-fast evaluate: the paper's row, the time of each stage, and what it says of bad input."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

MODEL = ("--model", "hrnet_w18_small.cls_in1k")


def save_noise(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (50, 60, 3), np.uint8)).save(path)


@pytest.fixture
def imagenet(tmp_path, monkeypatch):
    """im/val with three classes of two pictures each, and the working folder above it."""
    monkeypatch.chdir(tmp_path)
    for label, name in enumerate(("n01", "n02", "n03")):
        for number in range(2):
            save_noise(Path("im", "val", name, f"{number}.jpg"), 10 * label + number)
    return Path("im")


@pytest.fixture
def thousand(tmp_path, monkeypatch):
    """im/val with six pictures of a list of a thousand classes, and the working folder above it."""
    monkeypatch.chdir(tmp_path)
    for label in range(6):
        save_noise(Path("im", "val", f"{label}.jpg"), label)
    Path("im", "val.txt").write_text("".join(f"{label}.jpg {label}\n" for label in range(1000)))
    return Path("im")


def evaluate(run, *argv):
    return run("evaluate", *MODEL, "--dataset", "imagenet", "--root", "im", *argv)


def test_the_papers_row_stands_above_ours(run, thousand):
    result = evaluate(run)
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0] == "hrnet_w18_small.cls_in1k on ImageNet val: 6 images"
    assert [line.split()[:1] for line in lines[2:5]] == [["top-1"], ["paper"], ["ours"]]
    assert "network" in result.out and "ms/image" in result.out and "random" in result.out
    assert max(map(len, lines)) <= 100


def test_json_and_limit(run, thousand):
    data = evaluate(run, "--limit", "4", "--json").json()
    assert data["images"] == 4 and data["paper"] == {"top-1": 72.3, "top-5": 90.7}
    assert set(data["metrics"]) == {"top-1", "top-5"} and data["seconds"]["network"] > 0
    assert any("first 4 of 6" in text for text in data["notes"])


def test_the_papers_row_is_of_the_official_network_on_all_classes_of_val(run, thousand):
    assert evaluate(run, "--outputs", "10", "--limit", "1", "--json").json()["paper"] is None
    (thousand / "val").rename(thousand / "train")
    (thousand / "val.txt").rename(thousand / "train.txt")
    assert evaluate(run, "--split", "train", "--limit", "1", "--json").json()["paper"] is None


def test_a_folder_of_three_classes_has_no_papers_row(run, imagenet):
    assert evaluate(run, "--limit", "1", "--json").json()["paper"] is None


def test_other_outputs_have_random_weights_too(run, imagenet):
    notes = evaluate(run, "--outputs", "10", "--limit", "1", "--json").json()["notes"]
    assert any("the weights are random" in text for text in notes)


@pytest.mark.parametrize(
    ("argv", "part"),
    [
        (("--root", "none"), "there is no folder none/val: download"),
        (("--split", "test"), "there is no folder im/test"),
        (("--split", "none"), "there is no folder im/none"),
        (("--labels", "none"), "there is no list of labels none"),
        (("--names", "names.txt"), "--names means nothing for evaluate with hrnet_w18_small.cls_in1k"),
        (("--dataset", "coco"), "whose data sets are imagenet; 'coco' is none of them"),
        (("--server",), "--server says how --results FOLDER is written: give that too"),
        (("--limit", "0"), "'0' is not a whole number"),
        (("--model", "hrnet_w18.det_coco"), "no task reads the head 'detection'"),
        (("--weights", "none.pth"), "none.pth': no such file"),
    ],
    ids=" ".join,
)
def test_bad_usage_is_told_in_one_sentence(run, imagenet, argv, part):
    result = evaluate(run, *argv)
    assert (result.code, result.out) == (2, "")
    assert result.err.count("\n") == 1 and part in result.err


def test_an_empty_data_set_is_told(run, imagenet):
    for path in imagenet.rglob("*.jpg"):
        path.unlink()
    result = evaluate(run)
    assert result.code == 2 and "im/val/n01 holds no pictures" in result.err


def test_a_damaged_picture_is_named(run, imagenet):
    (imagenet / "val" / "n02" / "0.jpg").write_bytes(b"\xff\xd8\xff")
    result = evaluate(run)
    assert result.code == 2 and "im/val/n02/0.jpg" in result.err and result.err.count("\n") == 1


def test_scores_outlive_a_full_disk_which_the_exit_code_tells(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("synth", "coco", "--root", "coco", "--images", "1")

    def full(path, rows):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("hrnet_fast.tasks.scored.write_results", full)
    given = ("--dataset", "coco", "--root", "coco", "--results", "people.json")
    result = run("evaluate", "--model", "hrnet_w18_small.pose_coco_256x192", *given)
    assert result.code == 1 and "AP50" in result.out and "the results were not written: " in result.out
