"""How files are refused."""

from contextlib import contextmanager

import pytest

from hrnet_fast.weights import CheckpointError


@contextmanager
def refused(path, words):
    """One sentence with these words, which names the file."""
    with pytest.raises(CheckpointError, match=words) as error:
        yield
    message = str(error.value)
    assert str(path) in message and "\n" not in message and len(message) < 300
