"""The example of training: it runs, goes on where it stopped, and its heatmaps lie where its crops show the joints."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import hrnet_fast
from hrnet_fast.numerics import relative_l2, within_tolerance
from hrnet_fast.synthetic import figure_scene

ROOT = Path(__file__).resolve().parents[2]
FILE, README_PICTURE = ROOT / "examples" / "training.py", ROOT / "docs" / "pictures" / "pose.jpg"


@pytest.fixture
def training():
    spec = importlib.util.spec_from_file_location("training", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_trains_goes_on_compares_and_draws(training, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training, "STAGES", (((32, 32), 0.6), ((64, 32), 1.0)))
    monkeypatch.setattr(training, "CROPS", 2)
    for steps in ("1", "3"):
        options = ("--steps", steps, "--pictures", "1", "--workers", "0", "--out", str(tmp_path))
        monkeypatch.setattr(sys, "argv", ["training.py", *options])
        training.main()
    printed = capsys.readouterr().out
    assert "trained on 12 generated pictures in 3 steps" in printed and printed.count("passed") == 4
    hrnet_fast.load_weights(hrnet_fast.create_model(training.MODEL), tmp_path / "pose.safetensors")
    with Image.open(tmp_path / "pose.jpg") as drawn, Image.open(README_PICTURE) as committed:
        assert drawn.size == committed.size and README_PICTURE.stat().st_size < 150_000


def test_a_training_of_no_steps_is_refused(training, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["training.py", "--steps", "0"])
    with pytest.raises(SystemExit):
        training.main()
    assert "at least one step" in capsys.readouterr().err


@pytest.mark.parametrize("joint", [0, 9, 16], ids=["nose", "left wrist", "right ankle"])
def test_heatmaps_peak_where_the_crops_show_the_joint(training, monkeypatch, joint):
    picture, people = figure_scene(3, people=1, crowds=False)
    marks = np.zeros((17, 3))
    marks[joint] = 300, 200, 2
    picture = np.zeros_like(picture)
    picture[198:203, 298:303] = 255
    person = replace(people[0], keypoints=marks, box=(250.0, 120.0, 90.0, 160.0))
    monkeypatch.setattr(training, "figure_scene", lambda index, crowds: (picture, [person]))
    crops, maps, weights = training.Crops((256, 192))[0]
    mirrored = weights[:, joint] == 0
    assert 0 <= mirrored.sum() < len(crops) and (joint or not mirrored.any())
    for crop, heatmap, weight in zip(crops, maps, weights):
        assert weight.sum() == 1 and heatmap.max() == 1
        bright = (crop.sum(0) > crop.sum(0).max() - 0.5).nonzero().double().mean(0)
        peak = (heatmap.amax(0) == 1).nonzero()[0]
        assert (bright - 4 * peak).abs().max() <= 2.5  # half a pixel of the heatmap, and half of the crop's


def test_heatmaps_are_the_official_ones(training):
    points = torch.tensor([[[10.4, 5.6], [-6.0, 3.0], [-6.6, 3.0], [8.0, 8.0]]], dtype=torch.float64)
    maps, weights = training.heatmaps(points, torch.tensor([[True, True, True, False]]), (16, 12))
    assert weights.tolist() == [[1, 1, 0, 0]]  # the second joint's Gaussian still reaches into the map
    y, x = torch.meshgrid(torch.arange(16.0).double(), torch.arange(12.0).double(), indexing="ij")
    wanted = torch.exp(-((x - 10) ** 2 + (y - 6) ** 2) / 8) * ((x - 10).abs() <= 6) * ((y - 6).abs() <= 6)
    assert within_tolerance(relative_l2(maps[0, 0], wanted), relative_l2(wanted.float(), wanted))
