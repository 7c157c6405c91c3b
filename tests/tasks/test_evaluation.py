"""The table of an evaluation."""

import json
from dataclasses import replace

from hrnet_fast.tasks.evaluation import Evaluation

FULL = Evaluation(
    "pose", "COCO val2017", "hrnet_w32.pose_coco_256x192", 4,
    {"AP": 70.0, "AP50": 90.123, **{f"metric {i}": float(i) for i in range(20)}},
    {"AP": 74.4, "AR": 79.8},
    {"decode": 0.1, "network": 0.3},
    ("boxes of the annotations, where the paper's row has those of a detector; " * 2 + "so it is higher",),
)  # fmt: skip


def test_the_papers_row_stands_above_ours():
    lines = str(FULL).splitlines()
    names = next(line for line in lines if "AP50" in line)
    paper, ours = lines[lines.index(names) + 1], lines[lines.index(names) + 2]
    assert paper.split()[:3] == ["paper", "74.40", "-"]
    assert ours.split()[:3] == ["ours", "70.00", "90.12"]
    for name, value in (("AP ", "70.00"), ("AP50", "90.12")):
        assert names.index(name) + len(name.strip()) == ours.index(value) + len(value)


def test_what_the_paper_has_and_we_have_not_is_shown():
    table = str(FULL)
    assert "AR" in table and "79.80" in table


def test_it_fits_a_terminal():
    assert max(map(len, str(FULL).splitlines())) <= 100


def test_times_are_per_image_with_their_share():
    assert "network              75.00   75.0%" in str(FULL)
    assert "all                 100.00" in str(FULL)


def test_people_are_not_counted_as_images():
    table = str(replace(FULL, sample="person"))
    assert "4 people\n" in table and "ms/person" in table and "image" not in table
    assert "1 person\n" in str(replace(FULL, sample="person", images=1))


def test_without_a_papers_row_there_is_none():
    table = str(Evaluation("pose", "own", "m", 1, {"AP": 1.0}))
    assert "paper" not in table and "stage" not in table


def test_json_holds_everything():
    data = json.loads(json.dumps(FULL.to_json()))
    assert data["metrics"]["AP50"] == 90.123 and data["seconds"]["network"] == 0.3 and data["images"] == 4
