"""Every score against plain NumPy, written from the evaluators' definitions, and against values by hand."""

import numpy as np
import pytest
import torch

from hrnet_fast.tasks.segmentation.cityscapes_labels import CATEGORIES, TRAINED, label_ids, train_ids
from hrnet_fast.tasks.segmentation.cityscapes_metrics import InstanceCounts
from hrnet_fast.tasks.segmentation.metrics import Confusion


def random_pictures(classes, count=4, size=(37, 53), ignored=0.2):
    rng = np.random.default_rng(classes)
    for _ in range(count):
        truth = rng.integers(0, classes, size).astype(np.uint8)
        labels = np.where(rng.random(size) < 0.6, truth, rng.integers(0, classes, size)).astype(np.uint8)
        truth[rng.random(size) < ignored] = 255
        yield labels, truth


@pytest.mark.parametrize("classes", [1, 2, 19, 20, 60])
def test_scores_are_those_of_plain_numpy(classes):
    confusion, counts = Confusion(classes), np.zeros((classes, classes))
    for labels, truth in random_pictures(classes):
        confusion.add(torch.from_numpy(labels), torch.from_numpy(truth))
        for t, p in zip(truth[truth != 255], labels[truth != 255]):
            counts[t, p] += 1
    tp, pos, res = np.diag(counts), counts.sum(1), counts.sum(0)
    scores = confusion.scores("zero")
    assert np.array_equal(confusion.counts.numpy(), counts)
    assert scores.mean_iou == pytest.approx((tp / np.maximum(1.0, pos + res - tp)).mean(), abs=1e-6)
    assert scores.mean_accuracy == pytest.approx((tp / np.maximum(1.0, pos)).mean(), abs=1e-6)
    assert scores.pixel_accuracy == pytest.approx(tp.sum() / pos.sum(), abs=1e-6)


def test_perfect_labels_score_one_even_if_classes_are_absent():
    truth = torch.randint(0, 7, (40, 50)).to(torch.uint8)
    confusion = Confusion(19)
    confusion.add(truth, truth)
    scores = confusion.scores()
    assert scores.mean_iou == scores.pixel_accuracy == scores.mean_accuracy == 1.0
    assert confusion.scores("zero").mean_iou == pytest.approx(7 / 19)  # as testval: max(1, 0) below a zero


def test_values_by_hand():
    truth = torch.tensor([[0, 0, 0, 0], [1, 1, 1, 1], [2, 2, 255, 255]], dtype=torch.uint8)
    labels = torch.tensor([[0, 0, 0, 1], [1, 1, 2, 2], [2, 2, 0, 1]], dtype=torch.uint8)
    confusion = Confusion(3)
    confusion.add(labels, truth)
    scores = confusion.scores()
    # class 0: 3 right of 4, none added; class 1: 2 right, 2 missed, 1 added; class 2: 2 right, 2 added
    assert scores.iou.tolist() == pytest.approx([3 / 4, 2 / 5, 2 / 4])
    assert scores.accuracy.tolist() == pytest.approx([3 / 4, 1 / 2, 1])
    assert scores.pixel_accuracy == pytest.approx(7 / 10)


def test_a_class_that_is_only_predicted_scores_zero():
    confusion = Confusion(3)
    confusion.add(torch.tensor([[0, 2]], dtype=torch.uint8), torch.tensor([[0, 0]], dtype=torch.uint8))
    scores = confusion.scores()
    assert scores.mean_iou == pytest.approx((1 / 2 + 0) / 2)
    assert scores.accuracy.isnan().tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("labels", "truth", "sentence"),
    [
        ([[0]], [[3]], "there is a label 3, but there are only 3 classes"),
        ([[7]], [[0]], "there is a label 7, but there are only 3 classes"),
        ([[0, 0]], [[0]], "the labels are (1, 2), but the truth is (1, 1)"),
    ],
    ids=["truth", "prediction", "shape"],
)
def test_bad_labels_get_one_sentence(labels, truth, sentence):
    with pytest.raises(ValueError) as caught:
        Confusion(3).add(torch.tensor(labels, dtype=torch.uint8), torch.tensor(truth, dtype=torch.uint8))
    assert str(caught.value) == sentence


def test_nothing_counted_is_refused():
    confusion = Confusion(3)
    confusion.add(torch.zeros(2, 2, dtype=torch.uint8), torch.full((2, 2), 255, dtype=torch.uint8))
    with pytest.raises(ValueError, match="no pixel was counted"):
        confusion.scores()


# (name, id, category, hasInstances, ignoreInEval) of helpers/labels.py, in full
ALL_LABELS = [
    *((name, i, "void", False, True) for i, name in enumerate(
        ["unlabeled", "ego vehicle", "rectification border", "out of roi", "static", "dynamic", "ground"])),
    ("road", 7, "flat", False, False), ("sidewalk", 8, "flat", False, False), ("parking", 9, "flat", False, True),
    ("rail track", 10, "flat", False, True), ("building", 11, "construction", False, False),
    ("wall", 12, "construction", False, False), ("fence", 13, "construction", False, False),
    ("guard rail", 14, "construction", False, True), ("bridge", 15, "construction", False, True),
    ("tunnel", 16, "construction", False, True), ("pole", 17, "object", False, False),
    ("polegroup", 18, "object", False, True), ("traffic light", 19, "object", False, False),
    ("traffic sign", 20, "object", False, False), ("vegetation", 21, "nature", False, False),
    ("terrain", 22, "nature", False, False), ("sky", 23, "sky", False, False), ("person", 24, "human", True, False),
    ("rider", 25, "human", True, False), ("car", 26, "vehicle", True, False), ("truck", 27, "vehicle", True, False),
    ("bus", 28, "vehicle", True, False), ("caravan", 29, "vehicle", True, True),
    ("trailer", 30, "vehicle", True, True), ("train", 31, "vehicle", True, False),
    ("motorcycle", 32, "vehicle", True, False), ("bicycle", 33, "vehicle", True, False),
]  # fmt: skip
SIZES = {
    "bicycle": 4672.3249222261, "caravan": 36771.8241758242, "motorcycle": 6298.7200839748, "rider": 3930.4788056518,
    "bus": 35732.1511111111, "train": 67583.7075812274, "car": 12794.0202738185, "person": 3462.4756337644,
    "truck": 27855.1264367816, "trailer": 16926.9763313609,
}  # fmt: skip


def evaluator(pictures):
    """The evaluator's four means in the space of label ids; pictures: (predicted ids, true ids, instance ids)."""
    ids = {name: i for name, i, *_ in ALL_LABELS}
    category = {i: c for _, i, c, _, _ in ALL_LABELS}
    ignored = {i for _, i, _, _, ignore in ALL_LABELS if ignore}
    counts = np.zeros((34, 34))
    found, missed = dict.fromkeys(SIZES, 0.0), dict.fromkeys(SIZES, 0.0)
    cat_found, cat_missed = {"human": 0.0, "vehicle": 0.0}, {"human": 0.0, "vehicle": 0.0}
    for predicted, truth, instances in pictures:
        for t, p in zip(truth.ravel(), predicted.ravel()):
            counts[t, p] += 1
        for number in np.unique(instances[instances > 1000]):
            label = int(number) // 1000
            if label in ignored:
                continue
            name = next(n for n, i in ids.items() if i == label)
            mask = instances == number
            weight = SIZES[name] / mask.sum()
            right = (predicted[mask] == label).sum()
            same = sum(category[int(p)] == category[label] for p in predicted[mask])
            found[name] += weight * right
            missed[name] += weight * (mask.sum() - right)
            cat_found[category[label]] += weight * same
            cat_missed[category[label]] += weight * (mask.sum() - same)
    valid = [i for i in range(34) if i not in ignored]
    iou, instance = [], []
    for i in valid:
        tp, fn = counts[i, i], counts[i].sum() - counts[i, i]
        fp = sum(counts[j, i] for j in valid if j != i)
        iou.append(tp / (tp + fp + fn) if tp + fp + fn else np.nan)
        name = next(n for n, j in ids.items() if j == i)
        if name in SIZES:
            below = found[name] + missed[name] + fp
            instance.append(found[name] / below if below else np.nan)
    cat_iou, cat_instance = [], []
    for c in dict.fromkeys(category[i] for i in valid):
        inside, outside = [i for i in valid if category[i] == c], [i for i in valid if category[i] != c]
        tp = counts[np.ix_(inside, inside)].sum()
        fn, fp = counts[inside].sum() - tp, counts[np.ix_(outside, inside)].sum()
        cat_iou.append(tp / (tp + fp + fn) if tp + fp + fn else np.nan)
        if c in cat_found:
            below = cat_found[c] + cat_missed[c] + fp
            cat_instance.append(cat_found[c] / below if below else np.nan)
    return [np.nanmean(values) for values in (iou, instance, cat_iou, cat_instance)]


def streets(count=3, size=(40, 60), seed=5):
    """Random squares of all 34 labels, those with instances numbered, some left as groups."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        truth = np.full(size, 7)
        instances = np.full(size, 7)
        for k in range(40):
            label = int(rng.integers(0, 34))
            y, x = rng.integers(0, size[0] - 5), rng.integers(0, size[1] - 5)
            place = (slice(y, y + rng.integers(2, 14)), slice(x, x + rng.integers(2, 14)))
            truth[place] = label
            instances[place] = label * 1000 + k if label >= 24 and rng.random() < 0.8 else label
        trained = np.array([label.id for label in TRAINED])
        kept = np.isin(truth, trained) & (rng.random(size) < 0.7)
        predicted = np.where(kept, truth, trained[rng.integers(0, 19, size)])
        yield predicted, truth, instances


def test_category_and_instance_scores_are_those_of_the_evaluator():
    pictures = list(streets())
    confusion, counts = Confusion(19), InstanceCounts()
    to_train = train_ids()
    for predicted, truth, instances in pictures:
        labels = to_train[torch.from_numpy(predicted)]
        confusion.add(labels, to_train[torch.from_numpy(truth)])
        counts.add(labels, torch.from_numpy(instances.astype(np.int32)))
    scores = counts.scores(confusion.counts)
    got = [confusion.scores().mean_iou, scores.instance_iou, scores.category_iou, scores.category_instance_iou]
    assert got == pytest.approx(evaluator(pictures), abs=1e-6)


def test_instances_by_hand():
    # two cars of 1 and 4 pixels: the small one found, of the large one half; one road pixel taken for a car
    instances = torch.tensor([[26000, 26001, 26001], [7, 26001, 26001]], dtype=torch.int32)
    car, road = 13, 0
    truth = torch.tensor([[car, car, car], [road, car, car]], dtype=torch.uint8)
    labels = torch.tensor([[car, car, car], [car, road, road]], dtype=torch.uint8)
    confusion, counts = Confusion(19), InstanceCounts()
    confusion.add(labels, truth)
    counts.add(labels, instances)
    size = 12794.0202738185
    found, missed = size / 1 * 1 + size / 4 * 2, size / 4 * 2
    assert counts.scores(confusion.counts).by_class["car"] == pytest.approx(found / (found + missed + 1))


def test_a_perfect_street_scores_one_everywhere():
    confusion, counts = Confusion(19), InstanceCounts()
    for _, truth, instances in streets():
        true = train_ids()[torch.from_numpy(truth)]
        labels = torch.where(true == 255, 0, true)
        confusion.add(labels, true)
        counts.add(labels, torch.from_numpy(instances.astype(np.int32)))
    scores = counts.scores(confusion.counts)
    assert confusion.scores().mean_iou == scores.category_iou == 1.0
    assert scores.instance_iou == scores.category_instance_iou == 1.0


def test_tables_of_ids_are_the_evaluators():
    ids = {name: i for name, i, *_ in ALL_LABELS}
    kept = [(name, i, category) for name, i, category, _, ignored in ALL_LABELS if not ignored]
    assert [(label.name, label.id, label.category) for label in TRAINED] == kept
    assert {label.name: label.instance_size for label in TRAINED if label.instance_size} == {
        name: size for name, size in SIZES.items() if name not in ("caravan", "trailer")
    }
    assert CATEGORIES == ("flat", "construction", "object", "nature", "sky", "human", "vehicle")
    to_train, to_id = train_ids(), label_ids()
    assert all(to_id[to_train[ids[label.name]].item()] == label.id for label in TRAINED)
    assert to_train[[ids["caravan"], ids["parking"], 0, 255]].tolist() == [255] * 4
    assert to_train[34:255].eq(254).all()
