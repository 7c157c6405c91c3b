"""Classifier, names, JSON, drawing and the evaluation, with a small network."""

import copy
import json
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from hrnet_fast import create_model
from hrnet_fast.numerics import relative_l2, within_tolerance
from hrnet_fast.tasks import classification
from hrnet_fast.tasks.classification import (
    Classification,
    Classifier,
    ClassName,
    ImageNet,
    draw,
    evaluate,
    read_class_names,
    to_json,
)
from hrnet_fast.tasks.classification.paper import paper_row
from hrnet_fast.tasks.classification.transforms import resize_crop
from hrnet_fast.tasks.images import ImageError
from hrnet_fast.tasks.pixels import normalise
from hrnet_fast.weights.random import fill_weights
from tests.tasks.turned import turn

from .conftest import WNIDS


@pytest.fixture(scope="module")
def model():
    return fill_weights(create_model("hrnet_w18_small.cls_in1k", num_outputs=7))


@pytest.fixture(scope="module")
def classifier(model):
    return Classifier(model)


def noise(height, width):
    return np.random.default_rng(height + width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_exports_the_uniform_names():
    assert classification.Estimator is Classifier
    assert set(classification.DATASETS) == {"imagenet"}


def test_probabilities_are_the_softmax_of_the_plain_model(model, classifier):
    pixels = noise(50, 70)
    batch = normalise([resize_crop(torch.from_numpy(pixels), (224, 224))])
    with torch.no_grad():
        plain = model(batch)[0].softmax(0)
        want = copy.deepcopy(model).double()(batch.double())[0].softmax(0)
    result = classifier(pixels, top=7)
    ours = torch.zeros(7, dtype=torch.float64)
    for entry in result:
        ours[entry.index] = entry.probability
    assert within_tolerance(relative_l2(ours, want), relative_l2(plain, want))
    assert [entry.index for entry in result] == want.argsort(descending=True).tolist()


def test_a_batch_gives_what_single_pictures_give(classifier):
    images = [noise(40, 61), noise(90, 33), Image.fromarray(noise(20, 20))]
    batch = classifier.batch(images, top=3)
    assert [[entry.index for entry in row] for row in batch] == [
        [entry.index for entry in classifier(image, top=3)] for image in images
    ]
    assert classifier.batch([]) == []


def test_top_is_bounded_by_the_classes(classifier):
    assert len(classifier(noise(9, 9), top=100)) == 7
    for top in (0, 2.5, "3"):
        with pytest.raises(ValueError, match=f"top={top!r} is no number of classes: it must be a whole number"):
            classifier(noise(9, 9), top=top)


def test_names_come_with_the_result(model):
    named = Classifier(model, names=[*WNIDS, "cat", "dog", "n02999410 chain, links", "fish"])
    labels = {entry.index: entry.label for entry in named(noise(9, 9), top=7)}
    assert labels == {0: WNIDS[0], 1: WNIDS[1], 2: WNIDS[2], 3: "cat", 4: "dog", 5: "chain, links", 6: "fish"}


def test_as_many_names_as_classes(model):
    with pytest.raises(ValueError, match="2 class names, but .* has 7"):
        Classifier(model, names=["cat", "dog"])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("synset_words.txt", "n01440764 tench, Tinca tinca\nn01443537 goldfish\n\n"),
        ("imagenet_class_index.json", '{"1": ["n01443537", "goldfish"], "0": ["n01440764", "tench, Tinca tinca"]}'),
    ],
    ids=["text", "json"],
)
def test_files_of_names(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    want = [ClassName("tench, Tinca tinca", "n01440764"), ClassName("goldfish", "n01443537")]
    assert read_class_names(tmp_path / name) == want


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("empty.txt", "\n", "there is no class in "),
        ("word.json", '"abc"', "must be a list of names or an object, not str"),
        ("number.json", "7", "must be a list of names or an object, not int"),
        ("gap.json", '{"0": "a", "2": "b"}', "class 1 of 2 is missing"),
        ("number.json", "[1, 2]", "class 0 must be a name"),
        ("torn.json", '["a", ', "not a readable list"),
    ],
    ids=["empty", "word", "one number", "gap", "number", "torn"],
)
def test_bad_files_of_names(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=words):
        read_class_names(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="no file of class names"):
        read_class_names(tmp_path / "none.txt")


def test_class_names_may_be_an_array_or_read_once():
    assert [one.name for one in read_class_names(np.array(["cat", "dog"]))] == ["cat", "dog"]
    with pytest.raises(ValueError, match="there is no class in the class names"):
        read_class_names(iter(()))


def test_json_is_json():
    result = [Classification(3, 0.75, "cat", "n02121808"), Classification(1, 0.25)]
    data = json.loads(json.dumps(to_json(result)))
    assert data["classes"][0] == {"index": 3, "probability": 0.75, "name": "cat", "wnid": "n02121808"}
    assert data["classes"][1]["name"] is None


def test_drawing_leaves_the_picture_and_adds_a_strip():
    pixels = noise(60, 90)
    sheet = draw(pixels, [Classification(0, 1.0, "a very long name of a class " * 9), Classification(1, 0.0)])
    drawn = np.asarray(sheet)
    assert drawn.shape[1:] == (90, 3)
    assert drawn.shape[0] > 60
    np.testing.assert_array_equal(drawn[:60], pixels)
    assert drawn[60:].std() > 10
    assert draw(pixels, []).size == (90, 60)


class Oracle(Classifier):
    """Answers with each picture's true class, shifted by `error`."""

    def __init__(self, model, labels, error=0):
        super().__init__(model, batch_size=4)
        self.labels, self.error = labels, error

    def probabilities(self, images, *, stages=None):
        rows = [(self.labels[str(image.source)] + self.error) % 7 for image in images]
        return torch.nn.functional.one_hot(torch.tensor(rows), 7).float()


@pytest.mark.parametrize(("error", "want"), [(0, 100.0), (1, 0.0)], ids=["perfect", "all-wrong"])
def test_evaluate_scores_known_answers(model, folders, error, want):
    dataset = ImageNet(folders)
    oracle = Oracle(model, {str(sample.image): sample.label for sample in dataset}, error)
    done = []
    evaluation = evaluate(oracle, dataset, progress=done.append)
    assert evaluation.metrics["top-1"] == want
    assert (evaluation.images, done) == (6, [4, 2])
    assert evaluation.dataset == "ImageNet val"
    assert any("3 classes and the network 7" in note for note in evaluation.notes)


class Recorder(Classifier):
    """Keeps what it answers."""

    def probabilities(self, images, *, stages=None):
        self.answers = super().probabilities(images, stages=stages)
        return self.answers


def test_evaluate_takes_pictures_as_they_are_stored(model, folders):
    """As torchvision's ImageFolder, which tools/valid.py of HRNet-Image-Classification reads with."""
    recorder, answers = Recorder(model), []
    for _ in range(2):
        evaluate(recorder, ImageNet(folders))
        answers.append(recorder.answers)
        turn(folders / "val" / WNIDS[1] / f"{WNIDS[1]}_1.png")
    assert torch.equal(*answers)


def test_evaluate_runs_the_real_network_and_its_clock(classifier, folders):
    evaluation = evaluate(classifier, ImageNet(folders), limit=3)
    assert evaluation.images == 3
    assert set(evaluation.seconds) == {"read", "crop", "network", "decode"}
    assert any("only the first 3 of 6" in note for note in evaluation.notes)


class Passing:
    """A data set that makes each picture as it is asked for, and counts how many are held."""

    name, split, classes, held, most = "passing", "val", (), 0, 0

    def __len__(self):
        return 30

    def __iter__(self):
        for _ in range(30):
            image = np.zeros((8, 8, 3), np.uint8)
            weakref.finalize(image, self.let_go)
            self.held += 1
            self.most = max(self.most, self.held)
            yield SimpleNamespace(image=image, label=0)

    def let_go(self):
        self.held -= 1


def test_evaluate_holds_no_more_than_two_batches(model):
    dataset = Passing()
    assert evaluate(Classifier(model, batch_size=4), dataset).images == 30
    assert 4 <= dataset.most <= 8


def test_evaluate_names_an_unreadable_picture(classifier, folders):
    path = folders / "val" / WNIDS[1] / f"{WNIDS[1]}_0.JPEG"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ImageError, match="n01443537_0.JPEG"):
        evaluate(classifier, ImageNet(folders))


def test_evaluate_refuses_an_empty_set_and_too_many_classes(model, classifier, folders):
    with pytest.raises(ValueError, match="is empty: there is nothing to evaluate"):
        evaluate(classifier, ImageNet(folders), limit=0)
    two = fill_weights(create_model("hrnet_w18_small.cls_in1k", num_outputs=2))
    with pytest.raises(ValueError, match="has 3 classes, but .* has only 2"):
        evaluate(Classifier(two), ImageNet(folders))


def test_paper_rows():
    row, source = paper_row("hrnet_w18.cls_in1k", "val", 1000)
    assert (row, "README" in source) == ({"top-1": 76.8, "top-5": 93.4}, True)
    assert paper_row("hrnet_w27.cls_ci_in1k", "val", 1000)[0] == {"top-1": 74.0, "top-5": 92.3}
    assert paper_row("hrnet_w18.landmark_wflw", "val", 1000) is None
    assert paper_row("hrnet_w18.cls_in1k", "train", 1000) is None
    assert paper_row("hrnet_w18.cls_in1k", "val", 100) is None


@pytest.mark.parametrize("head", ["classification_ci", "classification_cii"])
def test_the_papers_other_heads_classify_too(head):
    model = fill_weights(create_model("hrnet_w18_small", head=head, num_outputs=5))
    assert len(Classifier(model)(noise(30, 30))) == 5
