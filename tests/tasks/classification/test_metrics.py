"""Top-k against a count by hand and a NumPy sort."""

import numpy as np
import pytest
import torch

from hrnet_fast.tasks.classification.metrics import TopK


def test_equals_a_numpy_sort_over_uneven_batches():
    rng = np.random.default_rng(3)
    scores, labels = rng.normal(size=(47, 13)).astype(np.float32), rng.integers(0, 13, 47)
    metric = TopK((1, 3, 5))
    for part in (slice(0, 16), slice(16, 17), slice(17, 47)):
        metric.add(torch.from_numpy(scores[part]), torch.from_numpy(labels[part]))
    order = np.argsort(-scores, axis=1)
    want = {f"top-{k}": 100 * np.mean([label in row[:k] for label, row in zip(labels, order)]) for k in (1, 3, 5)}
    assert metric.images == 47
    assert metric.result() == pytest.approx(want, abs=1e-6)


def test_perfect_and_perturbed_scores():
    scores = torch.eye(8)
    metric = TopK()
    metric.add(scores, torch.arange(8))
    assert metric.result() == {"top-1": 100.0, "top-5": 100.0}
    scores = torch.arange(8.0).repeat(8, 1)  # output 7 is always first, 3 always fifth
    metric = TopK()
    metric.add(scores, torch.arange(8))
    assert metric.result() == {"top-1": 12.5, "top-5": 62.5}


def test_fewer_classes_than_k():
    metric = TopK((1, 5))
    metric.add(torch.tensor([[0.1, 0.9], [0.8, 0.2]]), torch.tensor([1, 1]))
    assert metric.result() == {"top-1": 50.0, "top-5": 100.0}


def test_nothing_added():
    with pytest.raises(ValueError, match="no picture was evaluated"):
        TopK().result()


@pytest.mark.parametrize(
    ("scores", "labels", "words"),
    [
        (torch.zeros(2, 3), [0, 3], "a label 3, but the classes are 0 to 2"),
        (torch.zeros(2, 3), [-1, 0], "a label -1"),
        (torch.zeros(2, 3), [0], "2 rows of scores cannot be compared with 1 labels"),
        (torch.tensor([[0.0, float("nan")]]), [0], "hold NaN"),
    ],
    ids=["label-too-high", "label-negative", "lengths", "nan"],
)
def test_bad_input(scores, labels, words):
    with pytest.raises(ValueError, match=words):
        TopK().add(scores, torch.tensor(labels))
