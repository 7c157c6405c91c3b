"""The example of each task runs as it stands, and is short enough to read at once."""

import runpy
import sys
from pathlib import Path

import pytest
from PIL import Image

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
MODELS = {
    "pose": "hrnet_w18_small.pose_coco_256x192",
    "segmentation": "hrnet_w18_small.seg_cityscapes",
    "landmarks": "hrnet_w18_small.landmark_wflw",
    "classification": "hrnet_w18_small.cls_in1k",
    "bottom_up": "hrnet_w18_small.pose_higher_coco_512x512",
    "detection": "hrnet_w18_small.faster_rcnn_coco",
}
LONGEST = 30  # lines


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("own", [False, True], ids=["rendered", "own picture"])
def test_it_runs(tmp_path, monkeypatch, capsys, name, own):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (64, 96), (90, 120, 40)).save("own.png")
    argv = [f"{name}.py", *(["own.png"] if own else []), "--model", MODELS[name]]
    monkeypatch.setattr(sys, "argv", argv)
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    assert capsys.readouterr().out.strip()
    with Image.open(f"{name}.jpg") as drawn:
        drawn.load()
        assert drawn.width == 64 or not own


@pytest.mark.parametrize("name", MODELS)
def test_it_is_short(name):
    assert len((EXAMPLES / f"{name}.py").read_text().splitlines()) <= LONGEST


@pytest.mark.parametrize("name", [*MODELS, "pictures", "training"])
def test_help_does_nothing_else(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    assert ended.value.code == 0 and "usage:" in capsys.readouterr().out and not [*tmp_path.iterdir()]
