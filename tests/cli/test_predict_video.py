"""hrnet-fast predict on videos."""

import errno
import io
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import torch

from hrnet_fast.cli import prediction
from hrnet_fast.tasks.classification import Classifier
from hrnet_fast.tasks.segmentation import CITYSCAPES, Segmentation
from tests.cli.folders import MODEL, files, lines, noise


def video(path, frames=6, size=(48, 32)):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, size)
    for seed in range(frames):
        writer.write(np.asarray(noise(*size, seed)))
    writer.release()


def test_a_video_becomes_a_video_and_lines(run, tmp_path, monkeypatch, one_network):
    monkeypatch.chdir(tmp_path)
    video("clip.avi")
    result = run("predict", "clip.avi", *MODEL, "--out", "out")
    assert result.code == 0 and "1 done" in result.out
    (row,) = lines("out/results.jsonl")
    assert (row["frames"], row["fps"], row["results"]) == (6, 10.0, "clip.avi.mp4.jsonl") and "note" not in row
    frames = lines(Path("out", row["results"]))
    assert [frame["frame"] for frame in frames] == list(range(6)) and frames[3]["time"] == 0.3
    drawn = cv2.VideoCapture(str(Path("out", row["picture"])))
    assert drawn.get(cv2.CAP_PROP_FRAME_COUNT) == 6 and drawn.get(cv2.CAP_PROP_FPS) == 10


class MoreAndMore:
    """A segmenter that finds one class in the first picture, four in the second, and so on."""

    network = SimpleNamespace(device=torch.device("cpu"))
    seen = 0

    def __call__(self, picture, **options):
        labels = np.arange(picture.shape[0] * picture.shape[1]) % (1 + 3 * self.seen)
        self.seen += 1
        return Segmentation(torch.from_numpy(labels.astype(np.uint8).reshape(picture.shape[:2])), CITYSCAPES)


def test_labels_of_a_video_may_come_and_go(run, tmp_path, monkeypatch):
    from hrnet_fast.cli.commands import predict

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(predict, "open_estimator", lambda args, task: MoreAndMore())
    video("clip.avi")
    result = run("predict", "clip.avi", "--model", "hrnet_w18_small.seg_cityscapes", "--out", "out")
    assert result.code == 0, result.out
    (row,) = lines("out/results.jsonl")
    assert [len(frame["classes"]) for frame in lines(Path("out", row["results"]))] == [1, 4, 7, 10, 13, 16]
    assert cv2.VideoCapture(str(Path("out", row["picture"]))).get(cv2.CAP_PROP_FRAME_COUNT) == 6


def test_a_video_that_ends_mid_frame_keeps_its_frames(run, tmp_path, monkeypatch, one_network):
    monkeypatch.chdir(tmp_path)
    video("clip.avi", frames=20)
    whole = Path("clip.avi").read_bytes()
    Path("clip.avi").write_bytes(whole[: len(whole) // 2])
    result = run("predict", "clip.avi", *MODEL, "--out", "out")
    (row,) = lines("out/results.jsonl")
    assert result.code == 0 and 5 < row["frames"] < 15
    assert f"clip.avi ends after {row['frames']} of the 20 frames that it claims to have" in result.out
    assert len(lines(Path("out", row["results"]))) == row["frames"]


class FullFile(io.StringIO):
    def flush(self):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_video_without_its_results_does_not_appear(run, tmp_path, monkeypatch, one_network):
    monkeypatch.chdir(tmp_path)
    video("clip.avi")
    monkeypatch.setattr(prediction, "open", lambda *_, **__: FullFile(), raising=False)
    result = run("predict", "clip.avi", *MODEL, "--out", "out")
    assert result.code == 2 and "the disk of out is full" in result.err
    assert files(Path("out")) == []


def test_an_interrupted_video_leaves_nothing_and_starts_anew(run, tmp_path, monkeypatch, one_network):
    monkeypatch.chdir(tmp_path)
    video("clip.avi")
    calls = []

    def interrupted(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(self, *args, **kwargs)

    real = Classifier.__call__
    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "__call__", interrupted)
        assert run("predict", "clip.avi", *MODEL, "--out", "out").code == 130
    assert files(Path("out")) == []
    assert run("predict", "clip.avi", *MODEL, "--out", "out").code == 0
    assert lines("out/results.jsonl")[0]["frames"] == 6
