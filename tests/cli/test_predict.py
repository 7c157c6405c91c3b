"""hrnet-fast predict: what it writes, how it goes on after an interruption, and what it says of bad input."""

import errno
import io
import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from hrnet_fast.cli import ledger as ledgers
from hrnet_fast.cli import prediction
from hrnet_fast.cli.inputs import list_items
from hrnet_fast.cli.ledger import ABOUT, RESULTS, Ledger
from hrnet_fast.tasks.classification import Classifier
from tests.cli.folders import MODEL, files, lines, noise


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """photos/ with five good pictures, and the working folder above it."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "photos"
    (folder / "b").mkdir(parents=True)
    noise().save(folder / "1.jpg")
    noise(seed=1).save(folder / "2.png")
    noise().convert("CMYK").save(folder / "3.tif")
    noise().convert("L").save(folder / "4.gif")
    noise(33, 50).save(folder / "b" / "1.jpg")
    (folder / "notes.txt").write_text("not a picture, and not looked at")
    return folder


def test_a_folder_becomes_lines_and_pictures(run, photos):
    result = run("predict", "photos", *MODEL, "--top", "3", "--out", "out")
    assert (result.code, result.err) == (0, "")
    assert "5 done" in result.out and "random" in result.out and "network" in result.out
    rows = lines("out/results.jsonl")
    assert [row["source"] for row in rows] == [
        "photos/1.jpg", "photos/2.png", "photos/3.tif", "photos/4.gif", "photos/b/1.jpg",
    ]  # fmt: skip
    assert [row["size"] for row in rows] == [[30, 40]] * 4 + [[50, 33]]
    assert all(len(row["classes"]) == 3 for row in rows)
    assert files(Path("out")) == [
        "1.jpg", "2.png", "3.tif.png", "4.gif.png", "b/1.jpg", "results.jsonl", "run.json",
    ]  # fmt: skip
    for row in rows:
        with Image.open(Path("out", row["picture"])) as drawn:
            drawn.load()
            assert drawn.width == row["size"][1]


def test_what_is_done_is_not_done_again(run, photos, one_network):
    run("predict", "photos/1.jpg", "photos/2.png", *MODEL, "--out", "out")
    result = run("predict", "photos", *MODEL, "--out", "out", "--json")
    assert len(one_network) == 5
    assert (result.json()["done"], result.json()["done_before"]) == (3, 2)
    result = run("predict", "photos", *MODEL, "--out", "out", "--json")
    assert len(one_network) == 5 and result.code == 0 and result.json()["done_before"] == 5


@pytest.mark.parametrize("named", ["photos", "photos/1.jpg", "link/1.jpg"])
def test_pictures_are_never_replaced_by_their_drawings(run, photos, named, one_network):
    Path("link").symlink_to("photos")
    before = {name: Path("photos", name).read_bytes() for name in files(photos)}
    result = run("predict", named, *MODEL, "--out", "photos")
    assert result.code == 2 and "1.jpg lies, and its drawing would replace it: choose another folder" in result.err
    assert before == {name: Path("photos", name).read_bytes() for name in files(photos)} and not one_network
    assert run("predict", named, *MODEL, "--out", "photos", "--no-pictures").code == 0
    assert all(Path("photos", name).read_bytes() == content for name, content in before.items())


def test_bad_files_among_good_ones_are_named_at_the_end(run, photos, one_network):
    good = io.BytesIO()
    noise().save(good, "PNG")
    (photos / "cut.png").write_bytes(good.getvalue()[:900])
    (photos / "0.jpg").write_text("no picture")
    (photos / "empty.mp4").write_bytes(b"")
    result = run("predict", "photos", *MODEL, "--out", "out")
    assert result.code == 1 and "5 done, 3 skipped" in result.out
    skipped = result.out.partition("skipped:\n")[2].splitlines()
    assert [line.split()[0] for line in skipped] == ["photos/0.jpg", "photos/cut.png", "photos/empty.mp4"]
    assert "cut off or damaged" in skipped[1] and "not a video" in skipped[2]
    assert len(lines("out/results.jsonl")) == 5


def test_what_is_too_much_for_one_picture_ends_no_run(run, photos, monkeypatch, one_network):
    real, calls = Image.Image.save, []
    monkeypatch.setattr(prediction, "MAX_JPEG", 300)
    noise(40, 301).save(photos / "long.jpg")
    (photos / ("x" * 251 + ".gif")).write_bytes((photos / "4.gif").read_bytes())  # its drawing's name ends in .png

    def save(image, path, *args, **options):
        calls.append(path)
        if len(calls) < 3:
            raise (MemoryError(), RuntimeError("can't allocate memory: you tried to allocate 1 bytes"))[len(calls) - 1]
        return real(image, path, *args, **options)

    monkeypatch.setattr(Image.Image, "save", save)
    skipped = run("predict", "photos", *MODEL, "--out", "out", "--json").json()["skipped"]
    assert [entry["source"][7:8] for entry in skipped] == ["1", "2", "l", "x"]
    assert len(lines("out/results.jsonl")) == 3
    assert {entry["reason"] for entry in skipped[:2]} == {"there is not enough memory for it"}
    assert "300 of a JPEG's side" in skipped[2]["reason"] and "File name too long" in skipped[3]["reason"]


def test_what_pillow_warns_of_is_noted(run, photos, monkeypatch, one_network):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1500)
    result = run("predict", "photos/1.jpg", "photos/b/1.jpg", *MODEL, "--out", "out", "--json")
    (note,) = result.json()["notes"][1:]
    assert result.err == "" and note.startswith("photos/b/1.jpg: Image size (1650 pixels) exceeds limit of 1500")


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (RuntimeError("NaN\nmore"), "the run ended at photos/1.jpg: NaN; 0 of 5 are done"),
        (PermissionError(errno.EACCES, "denied"), "writing to out failed at photos/1.jpg: denied; 0 of 5 are done"),
    ],
)
def test_what_ends_a_run_is_told_with_the_picture(run, photos, one_network, monkeypatch, error, part):
    def failing(*_, **__):
        raise error

    monkeypatch.setattr(Image.Image, "save", failing)
    result = run("predict", "photos", *MODEL, "--out", "out")
    assert (result.code, result.out) == (2, "") and part in result.err


def test_a_torn_last_line_is_repaired(run, photos, one_network):
    run("predict", "photos", *MODEL, "--out", "out")
    whole = Path("out/results.jsonl").read_bytes()
    Path("out/results.jsonl").write_bytes(whole[:-17])
    result = run("predict", "photos", *MODEL, "--out", "out", "--json")
    assert (result.json()["done"], result.json()["done_before"]) == (1, 4)
    assert Path("out/results.jsonl").read_bytes() == whole


def test_a_line_that_is_no_result_is_pointed_at(run, photos, one_network):
    run("predict", "photos/1.jpg", *MODEL, "--out", "out")
    with open("out/results.jsonl", "a") as file:
        file.write("garbage\n")
    result = run("predict", "photos", *MODEL, "--out", "out")
    assert result.code == 2 and "results.jsonl, line 2, is not a result" in result.err


@pytest.mark.parametrize("stopped_in", ["network", "drawing", "ledger"])
def test_an_interrupted_run_goes_on(run, photos, one_network, monkeypatch, stopped_in):
    calls = []

    def interrupting(real):
        def call(*args, **kwargs):
            calls.append(1)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return real(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        if stopped_in == "network":
            patch.setattr(Classifier, "__call__", interrupting(Classifier.__call__))
        elif stopped_in == "drawing":
            patch.setattr(Image.Image, "save", interrupting(Image.Image.save))
        else:
            patch.setattr(Ledger, "add", interrupting(Ledger.add))
        result = run("predict", "photos", *MODEL, "--out", "out")
    assert (result.code, result.out) == (130, "")
    assert result.err == "hrnet-fast: interrupted: 2 of 5 are done; the same command goes on from there\n"
    assert len(lines("out/results.jsonl")) == 2
    assert not list(Path("out").rglob(".*"))
    result = run("predict", "photos", *MODEL, "--out", "out", "--json")
    assert (result.code, result.json()["done"], result.json()["done_before"]) == (0, 3, 2)
    assert len({row["source"] for row in lines("out/results.jsonl")}) == 5


class FullFile:
    """Takes half of what is written, then the disk is full."""

    def __init__(self, file):
        self.file = file

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def write(self, text):
        self.file.write(text[: len(text) // 2])
        self.file.flush()
        raise OSError(errno.ENOSPC, "No space left on device")


def open_full(path, mode, **options):
    file = open(path, mode, **options)  # noqa: SIM115, closed by the caller
    return FullFile(file) if mode == "a" else file


@pytest.mark.parametrize("full_for", ["a picture", "a line"])
def test_a_full_disk_is_told_in_one_sentence(run, photos, one_network, monkeypatch, full_for):
    run("predict", "photos/1.jpg", *MODEL, "--out", "out")
    before = Path("out/results.jsonl").read_bytes()

    def full(image, path, *args, **options):
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        if full_for == "a picture":
            patch.setattr(Image.Image, "save", full)
        else:
            patch.setattr(ledgers, "open", open_full, raising=False)
        result = run("predict", "photos", *MODEL, "--out", "out")
    assert result.code == 2 and result.out == "" and result.err.count("\n") == 1
    assert "the disk of out is full: free some space; 0 of 4 are done, and the same command goes on" in result.err
    assert Path("out/results.jsonl").read_bytes() == before
    assert not list(Path("out").rglob(".*"))
    assert run("predict", "photos", *MODEL, "--out", "out", "--json").json()["done"] == 4


def test_lines_alone(run, photos, one_network):
    run("predict", "photos", *MODEL, "--out", "out", "--no-pictures")
    assert files(Path("out")) == ["results.jsonl", "run.json"]
    assert "picture" not in lines("out/results.jsonl")[0]


def test_a_folder_of_another_model_is_not_mixed_with(run, photos, one_network):
    run("predict", "photos", *MODEL, "--out", "out")
    result = run("predict", "photos", "--model", "hrnet_w18.cls_in1k", "--out", "out")
    assert result.code == 2
    assert "out holds results with model 'hrnet_w18_small.cls_in1k', not 'hrnet_w18.cls_in1k'" in result.err
    result = run("predict", "photos", *MODEL, "--top", "2", "--out", "out")
    assert result.code == 2 and "out holds results with top None, not 2" in result.err


def test_other_weights_of_the_same_name_are_not_mixed_either(run, photos, one_network):
    argv = ("predict", "photos/1.jpg", "photos/2.png", *MODEL, "--names", "names.txt", "--out", "out")
    for names, code in ("cat", 0), ("dog", 2), ("cat", 0):
        Path("names.txt").write_text(names)
        result = run(*argv)
        assert result.code == code, result.err
        assert code == 0 or "out holds results with the content of names.txt '" in result.err
    Path("names.txt").write_text("dog")
    about = json.loads(Path("out/run.json").read_text())
    Path("out/run.json").write_text(json.dumps({key: about[key] for key in about if "content" not in key}))
    assert run(*argv).code == 0  # of an older version


def test_what_of_earlier_results_is_not_as_asked_is_noted(run, photos, monkeypatch):
    from hrnet_fast.cli.commands import predict

    class Nobody:
        network = SimpleNamespace(device=torch.device("cpu"))

        def __call__(self, picture, **options):
            return []

    monkeypatch.setattr(predict, "open_estimator", lambda args, task: Nobody())
    Path("boxes.json").write_text('{"1.jpg": []}')
    argv = ("predict", "photos/1.jpg", "--model", "hrnet_w18_small.pose_coco_256x192", "--boxes", "boxes.json")
    run(*argv, "--out", "out", "--no-pictures")
    (note,) = run(*argv, "--out", "out", "--json").json()["notes"][1:]
    assert note.startswith("1 of the results of before have no drawings")
    os.utime("boxes.json", (later := os.stat("out/results.jsonl").st_mtime + 9, later))
    (note,) = run(*argv, "--out", "out", "--json", "--no-pictures").json()["notes"][1:]
    assert note.startswith("boxes.json was written after what was done before")


def test_of_two_pictures_with_one_name_neither_is_lost(run, photos, one_network):
    run("predict", "photos/b/1.jpg", *MODEL, "--out", "out")
    run("predict", "photos/1.jpg", "photos", "photos/b/1.jpg", *MODEL, "--out", "out")
    rows = lines("out/results.jsonl")
    assert len(rows) == 5 and len({row["picture"] for row in rows}) == 5
    assert {row["picture"] for row in rows} >= {"1.jpg", "1-2.jpg"}


def test_a_drawing_has_not_the_name_of_another_pictures_labels(photos):
    for name in ("2.png.labels.png", "b/2.png"):
        noise().save(photos / name)
    for before, named in ([], ["photos"]), (["photos/2.png"], ["photos"]), (["photos/2.png.labels.png"], ["photos"]):
        first = list_items([Path(name) for name in before], Path("out"), {}, True)[0] if before else []
        done = {item.key: dict(enumerate(item.files(True))) for item in first}
        items = first + list_items([Path(name) for name in named], Path("out"), done, True)[0]
        written = [name for item in items for name in item.files(True)]
        assert len(items) == 7 and len(written) == len(set(written)) == 14


def test_results_inside_the_input_folder_are_not_read_again(photos):
    (photos / "out").mkdir()
    noise().save(photos / "out" / "1.jpg")
    items, before = list_items([Path("photos")], Path("photos/out"), {}, False)
    assert len(items) == 5 and before == 0
    for name in (RESULTS, ABOUT):
        (photos / "out" / name).write_text("{}")
    assert len(list_items([Path("photos")], Path("elsewhere"), {}, False)[0]) == 5  # of an earlier run
    assert len(list_items([Path("photos/out")], Path("elsewhere"), {}, False)[0]) == 1  # as it is named


@pytest.mark.parametrize(
    ("argv", "part"),
    [
        (("none.jpg", *MODEL), "there is no file or folder none.jpg"),
        (("empty", *MODEL), "there are no pictures or videos in empty"),
        (("photos", "--model", "hrnet_w18.features"), "no task reads the head 'features'"),
        (("photos", "--model", "hrnet_w18.clss"), "did you mean"),
        (("photos", *MODEL, "--boxes", "boxes.json"), "--boxes belongs to pose and landmark"),
        (("photos", *MODEL, "--top", "0"), "'0' is not a whole number"),
        (("photos", *MODEL, "--weights", "none.pth"), "none.pth': no such file"),
        (("photos", *MODEL, "--names", "none.txt"), "none.txt"),
        (("photos", *MODEL, "--device", "abacus"), "abacus"),
        (("photos",), "required: --model"),
        (tuple(MODEL), "required: PATH"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_bad_usage_is_told_in_one_sentence(run, photos, argv, part):
    Path("empty").mkdir()
    result = run("predict", *argv)
    assert (result.code, result.out) == (2, "")
    assert result.err.count("\n") == 1 and part in result.err
    assert not Path("predictions").exists()
