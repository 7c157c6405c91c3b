"""Pictures that were written as JPEG."""

import numpy as np
from PIL import Image


def assert_about(path, picture):
    """A JPEG picture is the drawn one but for a few grey levels."""
    with Image.open(path) as image:
        assert np.abs(np.asarray(image).astype(int) - picture).mean() < 5
