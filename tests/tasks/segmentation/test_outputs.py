"""Results, pictures of them, files of them, and whole evaluations."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from hrnet_fast.synthetic import write_cityscapes
from hrnet_fast.tasks.evaluation import Evaluation
from hrnet_fast.tasks.segmentation import (
    CITYSCAPES,
    LIP,
    PASCAL_CONTEXT59,
    Cityscapes,
    LookIntoPerson,
    Segmentation,
    Segmenter,
    draw,
    draw_frame,
    evaluate,
    save_labels,
    to_json,
)
from hrnet_fast.tasks.segmentation.cityscapes_labels import label_ids
from hrnet_fast.tasks.segmentation.paper import paper_row
from hrnet_fast.tasks.segmentation.protocol import PROTOCOLS
from hrnet_fast.tasks.stages import Stages
from tests.tasks.segmentation.test_readers import make_lip


def result_of(rows, classes=CITYSCAPES):
    return Segmentation(torch.tensor(rows, dtype=torch.uint8), classes)


def test_results_know_their_colours_and_areas():
    result = result_of([[0, 0, 13], [0, 10, 13]])
    assert result.size == (2, 3)
    assert result.areas() == {"road": 3, "car": 2, "sky": 1}
    assert result.mask()[0, 2].tolist() == [0, 0, 142]
    assert to_json(result)["classes"][1] == {"label": 13, "name": "car", "pixels": 2, "share": 0.333333}
    assert json.loads(json.dumps(to_json(result)))["width"] == 3


def test_palettes_have_a_colour_of_its_own_for_each_class():
    for classes in (CITYSCAPES, LIP, PASCAL_CONTEXT59):
        assert len(set(classes.palette)) == len(classes)
    # PASCAL VOC's first colours after the background: aeroplane, bicycle, bird
    assert PASCAL_CONTEXT59.palette[:3] == ((128, 0, 0), (0, 128, 0), (128, 128, 0))


def test_drawing_lays_the_colours_over_the_picture():
    picture = np.full((40, 60, 3), 100, np.uint8)
    rows = np.zeros((40, 60), np.uint8)
    rows[:, 30:] = 13
    result = result_of(rows)
    plain = np.array(draw(picture, result, opacity=0.5, legend=False))
    assert plain.shape == (40, 60, 3)
    assert plain[5, 5].tolist() == [114, 82, 114] and plain[5, 50].tolist() == [50, 50, 121]
    assert np.array_equal(np.array(draw(picture, result, opacity=0.0, legend=False)), picture)
    assert np.array_equal(np.array(draw(picture, result, opacity=1.0, legend=False))[5, 50], [0, 0, 142])
    with_legend = draw(picture, result)
    assert with_legend.mode == "RGB" and with_legend.width == 60 and with_legend.height > 40


@pytest.mark.parametrize("shape", [(1, 1), (3, 400), (400, 3)], ids=["one-pixel", "flat", "tall"])
def test_drawing_works_on_any_shape(shape):
    labels = np.random.default_rng(0).integers(0, 19, shape).astype(np.uint8)
    assert draw(np.zeros((*shape, 3), np.uint8), result_of(labels)).width == shape[1]


@pytest.mark.parametrize("classes", [CITYSCAPES, LIP, PASCAL_CONTEXT59], ids=lambda c: c.name)
@pytest.mark.parametrize("width", [1, 64, 200, 640, 1280, 2048])
def test_frames_have_one_size_whatever_they_show(classes, width):
    frame, sizes, rows = np.zeros((20, width, 3), np.uint8), set(), set()
    by_length = sorted(range(len(classes)), key=lambda label: len(classes.names[label]))
    for labels in (by_length[:1], by_length[-1:], by_length[:9], by_length[-10:], range(len(classes)), by_length[::2]):
        labels = np.resize(np.asarray(labels, np.uint8), (20, width))
        sizes.add(draw_frame(frame, result_of(labels, classes)).size)
        rows.add(draw(frame, result_of(labels, classes)).height)
    assert len(sizes) == 1 and sizes.pop()[1] >= max(rows)


def test_a_picture_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"the picture is \(4, 5\), but its labels are \(2, 3\)"):
        draw(np.zeros((4, 5, 3), np.uint8), result_of([[0, 0, 13], [0, 10, 13]]))


def test_saved_labels_come_back(tmp_path):
    result = result_of([[0, 13], [18, 10]])
    save_labels(result, tmp_path / "new" / "a.png")
    with Image.open(tmp_path / "new" / "a.png") as image:
        assert image.mode == "P" and np.array_equal(np.array(image), result.labels)
        assert np.array(image.convert("RGB"))[0, 1].tolist() == [0, 0, 142]
    save_labels(result, tmp_path / "b.png", server=True)
    with Image.open(tmp_path / "b.png") as image:
        assert image.mode == "L" and np.array(image).tolist() == [[7, 26], [33, 23]]
    with pytest.raises(ValueError, match="the server of Cityscapes takes its own label ids, which lip has not"):
        save_labels(result_of([[0]], LIP), tmp_path / "c.png", server=True)
    assert sorted(os.listdir(tmp_path)) == ["b.png", "new"]


def test_saved_labels_may_be_read_as_any_new_file(tmp_path):
    save_labels(result_of([[1]]), tmp_path / "a.png")
    (tmp_path / "b.txt").write_text("")
    assert (tmp_path / "a.png").stat().st_mode == (tmp_path / "b.txt").stat().st_mode


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    save_labels(result_of([[1]]), path)
    before = path.read_bytes()

    def full(self, file, **options):
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="No space left on device"):
        save_labels(result_of([[2]]), path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["a.png"]


class Answering:
    """A segmenter that knows the answers: `wrong(labels)` is what it makes of them."""

    class network:
        name = official_name = "hrnet_w48.seg_cityscapes"
        random_weights, device = False, torch.device("cpu")

    def __init__(self, dataset, wrong=lambda labels: labels):
        self.classes, self.protocol = dataset.classes, PROTOCOLS["cityscapes"]
        self.scales, self.flip_test, self.combine = (1.0,), False, "exp"
        self.truths, self.wrong = {sample.image: sample.truth for sample in dataset}, wrong

    def __call__(self, image, *, stages=None):
        truth = self.truths[image]()
        return Segmentation(self.wrong(torch.where(truth == 255, 0, truth)), self.classes)


@pytest.fixture(scope="module")
def streets(tmp_path_factory):
    return write_cityscapes(tmp_path_factory.mktemp("streets"), images=4, size=(96, 192))


def test_perfect_labels_score_a_hundred(streets):
    dataset = Cityscapes(streets)
    done = []
    evaluation = evaluate(Answering(dataset), dataset, progress=done.append)
    assert done == [1] * 4 and evaluation.images == 4
    assert set(evaluation.metrics) == {"mIoU", "pixel acc", "mean acc", "IoU cat", "iIoU", "iIoU cat"}
    assert all(value == pytest.approx(100) for value in evaluation.metrics.values())
    assert evaluation.paper == {"mIoU": 81.1}
    assert "81.10" in str(evaluation)


def test_another_network_of_that_name_has_no_papers_row(streets, monkeypatch):
    monkeypatch.setattr(Answering.network, "official_name", "")
    dataset = Cityscapes(streets)
    assert evaluate(Answering(dataset), dataset, limit=1).paper is None


def test_a_known_fault_scores_what_the_formula_says(streets):
    dataset = Cityscapes(streets)
    road, sidewalk = 0, 1

    def confuse(labels):  # every sidewalk is called road
        return torch.where(labels == sidewalk, road, labels)

    truths = torch.cat([sample.truth().flatten() for sample in dataset])
    roads, walks = int((truths == road).sum()), int((truths == sidewalk).sum())
    assert roads and walks
    occurring = len(truths[truths != 255].unique())
    evaluation = evaluate(Answering(dataset, confuse), dataset, per_class=True)
    assert evaluation.metrics["IoU road"] == pytest.approx(100 * roads / (roads + walks))
    assert evaluation.metrics["IoU sidewalk"] == 0
    expected = 100 * (occurring - 2 + roads / (roads + walks)) / occurring
    assert evaluation.metrics["mIoU"] == pytest.approx(expected)
    assert evaluation.metrics["IoU cat"] == pytest.approx(100), "both are flat"


def test_a_network_runs_from_files_to_the_table(streets, tmp_path):
    segmenter = Segmenter("hrnet_w18_small.seg_cityscapes", size=(64, 128))
    evaluation = evaluate(segmenter, Cityscapes(streets), limit=2, results=tmp_path, server=True)
    assert isinstance(evaluation, Evaluation) and evaluation.images == 2
    assert list(evaluation.seconds) == ["read", "prepare", "network", "labels", "score", "save"]
    notes = " ".join(evaluation.notes)
    assert "the weights are random" in notes and "only the first 2 of 4 pictures" in notes
    assert len(list(tmp_path.glob("*.png"))) == 2
    json.dumps(evaluation.to_json(), allow_nan=False)


def test_without_instances_the_iiou_is_left_out(tmp_path):
    write_cityscapes(tmp_path, images=3, size=(64, 128))
    dataset = Cityscapes(tmp_path)
    assert "iIoU" in evaluate(Answering(dataset), dataset).metrics
    next(tmp_path.glob("gtFine/val/*/*_instanceIds.png")).unlink()
    evaluation = evaluate(Answering(dataset), dataset)
    assert "iIoU" not in evaluation.metrics and evaluation.metrics["IoU cat"] == pytest.approx(100)
    assert any("no instanceIds image" in note for note in evaluation.notes)


def test_a_data_set_without_instances_has_no_iiou(streets):
    dataset = Cityscapes(streets)
    dataset._samples = [replace(sample, instances=None) for sample in dataset]
    evaluation = evaluate(Answering(dataset), dataset)
    assert "iIoU" not in evaluation.metrics and evaluation.metrics["IoU cat"] == pytest.approx(100)


def test_labels_of_the_test_split_are_written_for_the_server(tmp_path):
    write_cityscapes(tmp_path, images=2, size=(32, 64), split="test")
    segmenter, dataset = Segmenter("hrnet_w18_small.seg_cityscapes", size="native"), Cityscapes(tmp_path, "test")
    evaluation = evaluate(segmenter, dataset, results=tmp_path / "labels", server=True)
    assert evaluation.images == 2 and evaluation.metrics == {} and "no public annotations" in str(evaluation)
    for sample in dataset:
        with Image.open(tmp_path / "labels" / f"{sample.key}.png") as image:
            assert np.array_equal(np.array(image), label_ids()[segmenter(sample.image).labels.int()])


def test_lip_is_evaluated_at_the_pictures_own_size(tmp_path):
    make_lip(tmp_path)
    evaluation = evaluate(Segmenter("hrnet_w18_small.seg_lip", size=(64, 64), flip_test=True), LookIntoPerson(tmp_path))
    assert set(evaluation.metrics) == {"mIoU", "pixel acc", "mean acc"}


def test_evaluations_that_cannot_be_get_one_sentence(streets, tmp_path):
    dataset = Cityscapes(streets)
    with pytest.raises(ValueError, match="is empty: there is nothing to evaluate"):
        evaluate(Answering(dataset), dataset, limit=0)
    make_lip(tmp_path)
    with pytest.raises(ValueError, match="LIP has the classes of lip, but .* answers with those of cityscapes"):
        evaluate(Answering(dataset), LookIntoPerson(tmp_path))
    write_cityscapes(tmp_path, images=1, size=(32, 64), split="test")
    clock = Stages()
    with pytest.raises(ValueError, match="has no annotations to score with"):
        evaluate(Segmenter("hrnet_w18_small.seg_cityscapes", size="native"), Cityscapes(tmp_path, "test"), stages=clock)
    assert not clock.seconds
    write_cityscapes(tmp_path, images=1, size=(32, 64))
    Image.new("L", (60, 30)).save(next(tmp_path.glob("gtFine/val/*/*_labelIds.png")))
    with pytest.raises(ValueError, match="they do not belong together"):
        evaluate(Segmenter("hrnet_w18_small.seg_cityscapes", size="native"), Cityscapes(tmp_path))


def test_the_papers_rows():
    assert paper_row("hrnet_w48.seg_lip", "val").metrics == {"pixel acc": 88.21, "mean acc": 67.43, "mIoU": 55.90}
    assert paper_row("hrnet_w48.seg_ocr_pascal_context59", "val").metrics == {"mIoU": 56.2}
    assert paper_row("hrnet_w18_small.seg_lip", "val") is None
    assert paper_row("hrnet_w48.seg_lip", "train") is None
