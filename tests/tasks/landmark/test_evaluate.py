"""The evaluation: known answers score known values on every data set, and bad ones are named."""

import weakref

import numpy as np
import pytest
import torch

from hrnet_fast import create_model
from hrnet_fast.tasks.images import ImageError
from hrnet_fast.tasks.landmark import (
    DATASETS,
    Face,
    FaceDataset,
    FaceSample,
    LandmarkEstimator,
    evaluate,
    open_aflw,
    open_cofw,
    open_wflw,
)
from hrnet_fast.tasks.landmark.metrics import nme, normalisers, whole_pixels
from hrnet_fast.tasks.landmark.paper import paper_row
from hrnet_fast.weights.random import fill_weights
from tests.tasks.turned import turn

SMALL = "hrnet_w18_small"
TAGS = {"wflw": "wflw_original", "300w": "w300_original", "cofw": "cofw_file", "aflw": "aflw_lists"}


class Oracle(LandmarkEstimator):
    """Answers with the annotation, each point moved by (3, 4) times `error` of the face's normaliser."""

    def __init__(self, dataset, error=0.0, model=None, **options):
        super().__init__(model or fill_weights(create_model(f"{SMALL}.landmark_{dataset.name.lower()}")), **options)
        self.faces, self.error = iter(list(dataset)), error

    def batch(self, images, boxes=None, *, stages=None):
        found = []
        for _ in images:
            face = next(self.faces)
            side = None if face.side is None else torch.tensor([face.side], dtype=torch.float64)
            unit = normalisers(face.points[None], side)[0] / 5
            points = face.points + self.error * unit * torch.tensor([3, 4])
            found.append([Face(points, torch.ones(len(points)), face.box)])
        return found


@pytest.mark.parametrize("name", DATASETS)
def test_perfect_answers_score_zero(name, request):
    dataset = DATASETS[name](request.getfixturevalue(TAGS[name]))
    evaluation = evaluate(Oracle(dataset), dataset)
    assert evaluation.metrics["NME"] == 0
    assert (evaluation.metrics["FR0.1"], evaluation.metrics["AUC0.08"]) == (0, 100)
    assert (evaluation.task, evaluation.images) == ("landmark", len(dataset))


@pytest.mark.parametrize("name", DATASETS)
def test_answers_nine_per_cent_off_score_nine(name, request):
    dataset = DATASETS[name](request.getfixturevalue(TAGS[name]))
    metrics = evaluate(Oracle(dataset, 0.09), dataset).metrics
    assert metrics["NME"] == pytest.approx(9, abs=1e-6)
    assert (metrics["FR0.08"], metrics["FR0.1"], metrics["AUC0.08"]) == (100, 0, 0)
    assert metrics["AUC0.1"] == pytest.approx(10, abs=1e-6)


def test_subsets_are_scored(wflw_lists):
    dataset = open_wflw(wflw_lists)
    metrics = evaluate(Oracle(dataset, 0.02, batch_size=2), dataset).metrics
    assert {name for name in metrics if " " in name} == {"NME pose", "NME blur", "NME whole pixels"}
    assert metrics["NME blur"] == pytest.approx(2, abs=1e-6)


def test_the_official_cut_to_whole_pixels_is_scored_too(cofw_file):
    dataset = open_cofw(cofw_file)
    metrics = evaluate(Oracle(dataset), dataset).metrics
    truth = torch.stack([sample.points for sample in dataset])
    want = 100 * float(nme(whole_pixels(truth), truth).mean())
    assert 0 < want == pytest.approx(metrics["NME whole pixels"], abs=1e-6)


def test_pictures_are_taken_as_they_are_stored(aflw_lists):
    """As lib/datasets/aflw.py reads them, by Pillow's open: its lists count the stored pixels."""
    estimator, scores = LandmarkEstimator("hrnet_w18_small.landmark_aflw"), []
    for _ in range(2):
        dataset = open_aflw(aflw_lists)
        scores.append(evaluate(estimator, dataset).metrics)
        turn(next(iter(dataset)).image)
    assert scores[0] == scores[1]


def test_the_real_network_its_clock_and_notes(aflw_lists):
    estimator, done = LandmarkEstimator("hrnet_w18_small.landmark_aflw", batch_size=1), []
    evaluation = evaluate(estimator, open_aflw(aflw_lists), limit=2, progress=done.append)
    assert (evaluation.images, done) == (2, [1, 1])
    assert set(evaluation.seconds) == {"read", "crop", "network", "decode", "score"}
    assert evaluation.metrics["NME"] > 0
    assert any("random" in note for note in evaluation.notes)
    assert any("only the first 2 of 3" in note for note in evaluation.notes)
    assert "AFLW test" in str(evaluation)


def test_the_papers_row_is_of_w18_on_its_own_data_set():
    assert paper_row("hrnet_w18.landmark_wflw", "WFLW", "test")["NME pose"] == 7.94
    assert paper_row("hrnet_w18.landmark_300w", "300W", "test")["AUC0.08"] == 52.09
    assert paper_row("hrnet_w18.landmark_cofw", "COFW", "test") == {"NME": 3.45, "FR0.1": 0.19}
    assert paper_row("hrnet_w18.landmark_aflw", "AFLW", "test") == {"NME": 1.57, "NME frontal": 1.46}
    assert paper_row("hrnet_w18.landmark_wflw", "COFW", "test") is None
    assert paper_row("hrnet_w18_small.landmark_wflw", "WFLW", "test") is None


def test_another_network_of_that_name_has_no_papers_row(wflw_lists):
    dataset = open_wflw(wflw_lists)
    model = create_model("hrnet_w18.landmark_wflw", final_kernel=3)
    assert evaluate(Oracle(dataset, model=model), dataset).paper is None


def test_what_the_papers_row_was_not_measured_with_is_said(wflw_lists):
    dataset, model = open_wflw(wflw_lists), create_model("hrnet_w18.landmark_wflw")
    evaluation = evaluate(Oracle(dataset, model=model, protocol="mmpose", flip_test=True), dataset)
    assert evaluation.paper["NME"] == 4.60
    assert evaluation.notes[-2:] == (
        "protocol is mmpose; in the paper's row it is official",
        "flip_test is True; in the paper's row it is False",
    )
    as_printed = evaluate(Oracle(dataset, model=model), dataset)
    assert as_printed.paper and not any("in the paper's row" in note for note in as_printed.notes)


class Passing:
    """A data set that makes each face as it is asked for, and counts how many are held."""

    name, split, points, held, most = "passing", "test", 19, 0, 0

    def __len__(self):
        return 20

    def __iter__(self):
        for index in range(20):
            image = np.zeros((16, 16, 3), np.uint8)
            weakref.finalize(image, self.let_go)
            self.held += 1
            self.most = max(self.most, self.held)
            yield FaceSample(image, torch.rand(19, 2).double(), (2.0, 2.0, 9.0, 9.0), 9.0, (), str(index))

    def let_go(self):
        self.held -= 1


def test_no_more_than_two_batches_are_held():
    dataset = Passing()
    assert evaluate(LandmarkEstimator("hrnet_w18_small.landmark_aflw", batch_size=4), dataset).images == 20
    assert 4 <= dataset.most <= 8


def test_a_network_of_another_scheme(cofw_file):
    with pytest.raises(ValueError, match="has 29 points a face, but hrnet_w18_small.landmark_aflw finds 19"):
        evaluate(LandmarkEstimator("hrnet_w18_small.landmark_aflw"), open_cofw(cofw_file))


def test_a_face_that_cannot_be_scored_is_named(wflw_lists):
    dataset = open_wflw(wflw_lists)
    list(dataset)[1].points[0] = torch.nan
    with pytest.raises(ValueError, match=r"^1\.jpg \(.*test\.csv, line 3\) has a point that is not finite"):
        evaluate(Oracle(dataset, 0.02, batch_size=2), dataset)


def test_an_unreadable_picture_is_named(aflw_lists):
    path = aflw_lists / "images" / "0" / "image00001.jpg"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ImageError, match="image00001.jpg"):
        evaluate(LandmarkEstimator("hrnet_w18_small.landmark_aflw"), open_aflw(aflw_lists))


def test_an_empty_set(cofw_file, tmp_path):
    estimator = LandmarkEstimator("hrnet_w18_small.landmark_cofw")
    with pytest.raises(ValueError, match="is empty: there is nothing to evaluate"):
        evaluate(estimator, open_cofw(cofw_file), limit=0)
    with pytest.raises(ValueError, match="has no faces"):
        FaceDataset("COFW", "test", 29, [], tmp_path)
