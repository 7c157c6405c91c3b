"""The script that draws the README's pictures, but for pose.jpg (tests/examples/test_training.py)."""

import runpy
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
NAMES = {"segmentation.jpg", "detection.jpg", "landmarks.jpg", "classification.jpg"}


def test_the_script_draws_the_readmes_pictures(tmp_path):
    runpy.run_path(str(ROOT / "examples" / "pictures.py"))["main"](tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == NAMES
    for path in tmp_path.iterdir():
        assert path.stat().st_size < 150_000
        with Image.open(path) as drawn, Image.open(ROOT / "docs" / "pictures" / path.name) as committed:
            assert drawn.size == committed.size
