"""The benchmark of requests: its gate, its numbers and its tables."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from benchmarks.requests import check, measure, results
from benchmarks.requests.__main__ import measure_all
from benchmarks.requests.check import Mismatch
from benchmarks.requests.measure import Case
from benchmarks.requests.pictures import boxes, jpeg
from benchmarks.requests.report import main as report
from benchmarks.requests.results import OURS, PLAIN, read_run, write_run
from benchmarks.requests.tables import BEGIN, END, markdown_block, terminal_table
from hrnet_fast.tasks.images import read_image

CASES = (
    Case("pose", "hrnet_w18_small.pose_coco_256x192", (60, 80), 2),
    Case("segmentation", "hrnet_w18_small.seg_cityscapes", (64, 128)),
    Case("decode", "", measure.HEATMAPS, 3),
)


@pytest.fixture(scope="module")
def run():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    made = measure_all(CASES, 0.0, "python -m benchmarks.requests")
    torch.set_num_threads(threads)
    return made


def test_every_stage_of_both_is_timed(run):
    pose, segmentation, decode = run.cases()
    for name in (OURS, PLAIN):
        assert list(pose[name].stages) == ["read", "crop", "network", "decode"]
        assert list(segmentation[name].stages) == ["read", "prepare", "network", "labels"]
        assert decode[name].stages == {}
        for row in (pose[name], segmentation[name]):
            assert row.samples >= 3 and 0 < row.stages["network"] < row.p90_us and 0 < row.around < 1
    assert len(run.checks) == 3 and "grey levels" in run.checks[0] and "other labels" in run.checks[1]


def test_a_run_survives_its_file(run, tmp_path):
    path = write_run(run, tmp_path)
    assert read_run(path) == run and path.name == run.file_name
    data = json.loads(path.read_text())
    del data["rows"][0]["p50_us"]
    path.write_text(json.dumps(data))
    with pytest.raises(ValueError, match="is not a file of `python -m benchmarks.requests`"):
        read_run(path)


def test_the_tables_show_every_case(run):
    text, block = terminal_table(run), markdown_block([run])
    assert max(map(len, text.splitlines())) <= 100
    assert "pose hrnet_w18_small.pose_coco_256x192, 60x80, 2 people" in text and "x as fast" in text
    table = [line for line in block.splitlines() if line.startswith("|")]
    assert len(table) == 2 + 4 and len({line.count("|") for line in table}) == 1
    assert block.startswith(BEGIN) and block.endswith(END) and "3: " in block


def test_the_docs_are_written_between_their_marks(run, tmp_path, capsys):
    (tmp_path / "docs").mkdir()
    path, document = write_run(run, tmp_path), tmp_path / "docs" / "speed.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    assert report([str(path), "--write", str(tmp_path)]) == 0
    text = document.read_text()
    assert text.startswith(f"before\n{BEGIN}") and text.endswith(f"{END}\nafter\n") and "old" not in text
    document.write_text("no marks")
    assert report([str(path), "--write", str(tmp_path)]) == 1
    assert "requests:begin" in capsys.readouterr().err and document.read_text() == "no marks"


def test_nothing_is_timed_after_a_failed_check(monkeypatch):
    monkeypatch.setattr(check, "our_decode", lambda *arguments: measure.our_decode(*arguments) + 0.01)
    monkeypatch.setattr(measure, "interleave", lambda *arguments, **options: pytest.fail("timed"))
    with pytest.raises(Mismatch, match="the keypoints differ"):
        measure.measure(CASES[2], 0.0)


def test_a_network_that_is_off_is_found(monkeypatch):
    real = check.hrnet_fast.verify

    def off(*arguments):
        report = real(*arguments)
        outputs = [dataclasses.replace(output, error=9 * output.error_torch) for output in report.outputs]
        return dataclasses.replace(report, outputs=tuple(outputs))

    monkeypatch.setattr(check.hrnet_fast, "verify", off)
    with pytest.raises(Mismatch, match="the network's error is"):
        measure.measure(CASES[1], 0.0)


def test_requests_are_the_same_everywhere():
    assert read_image(jpeg(48, 64)).shape == (48, 64, 3)
    people = boxes(5, 480, 640)
    assert np.array_equal(people, boxes(5, 480, 640)) and (people[:, 2:] > 0).all()
    assert results.FOLDER.name == "requests"
