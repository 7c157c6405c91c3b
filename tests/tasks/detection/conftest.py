"""A small detector of random weights."""

import pytest

from hrnet_fast.tasks.detection import Detector
from tests.tasks.detection.files import NAME


@pytest.fixture(scope="session")
def detector():
    return Detector(NAME, short_side=64)
