"""The benchmark of requests: its gate, its numbers and its tables."""

import dataclasses
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch

from benchmarks.photo import jpeg
from benchmarks.requests import check, measure
from benchmarks.requests.__main__ import main
from benchmarks.requests.check import Mismatch
from benchmarks.requests.measure import Case, boxes
from benchmarks.requests.report import OURS, PLAIN, Row, cases, markdown, terminal_table
from benchmarks.sheet import Sheet, read_sheet
from benchmarks.sources import ROOT
from hrnet_fast.tasks.images import read_image
from hrnet_fast.timing import Timing

CASES = (
    Case("pose", "hrnet_w18_small.pose_coco_256x192", (60, 80), 2),
    Case("segmentation", "hrnet_w18_small.seg_cityscapes", (64, 128)),
    Case("detection", "hrnet_w18_small.faster_rcnn_coco", (60, 80)),
    Case("decode", "", measure.HEATMAPS, 3),
)


@pytest.fixture(scope="module")
def sheet() -> Sheet:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(measure, "SIDES", (64, 128))
        rows = [row for case in CASES for row in measure.measure(case, 0.0)]
    torch.set_num_threads(threads)
    return Sheet("requests", "", threads=1, rows=tuple(rows))


@pytest.fixture
def cv2_threads():
    """OpenCV's number of threads is set to another one than the command's, and set back."""
    count = cv2.getNumThreads()
    cv2.setNumThreads(2)
    yield
    cv2.setNumThreads(count)


def test_every_stage_of_both_is_timed(sheet):
    pose, segmentation, detection, decode = cases(sheet)
    for name in (OURS, PLAIN):
        assert list(pose[name].stages) == ["read", "crop", "network", "decode"]
        assert list(segmentation[name].stages) == ["read", "prepare", "network", "labels"]
        assert list(detection[name].stages) == ["read", "prepare", "network", "regions", "classify"]
        assert decode[name].stages == {}
        for row in (pose[name], segmentation[name], detection[name]):
            assert row.samples >= 3 and 0 < row.stages["network"] < row.p90_us and 0 < row.around < 1
    assert "grey levels" in pose[OURS].check and "other labels" in segmentation[PLAIN].check


def test_a_case_measured_again_keeps_the_others(tmp_path, capsys, cv2_threads):
    options = ["--threads", "1", "--seconds", "0.01", "--out", str(tmp_path)]
    assert main(["--cases", "decode", *options]) == 0
    (path,) = tmp_path.glob("requests-*.json")
    first = read_sheet(path, Row)
    assert main(["--cases", "decode, 64x48, 16", *options]) == 0
    second = read_sheet(path, Row)
    assert [row.key for row in second.rows] == [row.key for row in first.rows] and len(first.rows) == 6
    kept = [old == new for old, new in zip(first.rows, second.rows, strict=True)]
    assert kept == [True, True, False, False, True, True]
    assert "opencv" in second.versions and f"opencv {second.versions['opencv']}" in second.identity
    assert "decode of heatmaps, 16 people" in capsys.readouterr().out
    assert cv2.getNumThreads() == 1, "the plain pipeline's share of the cores is ours"


def test_the_tables_show_every_case(sheet):
    text, block = terminal_table(sheet), markdown(sheet)
    assert max(map(len, text.splitlines())) <= 100
    assert "pose hrnet_w18_small.pose_coco_256x192, 60x80, 2 people" in text and "x as fast" in text
    assert text.count("checked: ") == 4
    table = [line for line in block.splitlines() if line.startswith("|")]
    assert len(table) == 3 * (2 + 3) and "by people: 3: " in block
    alone = dataclasses.replace(sheet, rows=sheet.rows[-2:])
    assert markdown(alone).startswith("Heatmaps to keypoints")


def test_a_report_needs_no_opencv():
    code = "import sys; sys.modules['cv2'] = None; import benchmarks.report"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_nothing_is_timed_after_a_failed_check(monkeypatch, capsys):
    monkeypatch.setattr(check, "our_decode", lambda *arguments: measure.our_decode(*arguments) + 0.01)
    monkeypatch.setattr(measure, "interleave", lambda *arguments, **options: pytest.fail("timed"))
    with pytest.raises(Mismatch, match="the keypoints differ"):
        measure.measure(CASES[3], 0.0)
    assert main(["--cases", "decode", "--threads", "1"]) == 1
    assert "decode, 64x48, 1 person: the keypoints differ" in capsys.readouterr().err


def test_a_network_that_is_off_is_found(monkeypatch):
    real = check.hrnet_fast.verify

    def off(*arguments):
        report = real(*arguments)
        outputs = [dataclasses.replace(output, error=9 * output.error_torch) for output in report.outputs]
        return dataclasses.replace(report, outputs=tuple(outputs))

    monkeypatch.setattr(check.hrnet_fast, "verify", off)
    with pytest.raises(Mismatch, match="the network's error is"):
        measure.measure(CASES[1], 0.0)


FAULTS = {
    "the regions differ by number": ("propose", lambda regions: regions[1:]),
    "the regions differ by": ("propose", lambda regions: regions + 0.1),
    "their features differ by": ("cut_out", lambda features: features * 1.001),
    "the boxes differ by": ("classify", lambda found: dataclasses.replace(found, corners=found.corners + 0.1)),
    "the scores differ by": ("classify", lambda found: dataclasses.replace(found, scores=found.scores * 1.001)),
    "the classes differ": ("classify", lambda found: dataclasses.replace(found, classes=found.classes + 1)),
}


@pytest.fixture(scope="module")
def check_of_detection():
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(measure, "SIDES", (64, 128))
        return measure._REQUESTS["detection"](CASES[2])[0]


@pytest.mark.parametrize("told", FAULTS)
def test_a_stage_of_detection_that_is_off_is_found(told, check_of_detection, monkeypatch):
    stage, fault = FAULTS[told]
    right = getattr(check, stage)
    monkeypatch.setattr(check, stage, lambda *given, **how: fault(right(*given, **how)))
    monkeypatch.setattr(check, "_network", lambda *given: "right")
    with pytest.raises(Mismatch, match=told):
        check_of_detection()


def test_what_warms_a_request_up_is_none_of_its_stages(monkeypatch):
    def interleave(calls, *, warm, **options):
        for name in calls:
            warm[name](), calls[name]()
        return dict.fromkeys(calls, Timing([1.0]))

    taken = iter([100.0, 1.0])

    def request(stages):
        stages._seconds["network"] = next(taken)

    monkeypatch.setattr(measure, "interleave", interleave)
    monkeypatch.setitem(measure._REQUESTS, "decode", lambda case: (lambda: "right", {OURS: request}))
    (row,) = measure.measure(CASES[3], 0.0)
    assert row.stages == {"network": 1e6}


def test_requests_are_the_same_everywhere():
    assert read_image(jpeg(48, 64)).shape == (48, 64, 3)
    people = boxes(5, 480, 640)
    assert np.array_equal(people, boxes(5, 480, 640)) and (people[:, 2:] > 0).all()


def test_a_case_that_is_not_there_is_refused(capsys):
    assert main(["--cases", "resnet"]) == 1
    assert "no case holds 'resnet'" in capsys.readouterr().err
