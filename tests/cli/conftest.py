"""Running commands in this process."""

import json
import types

import pytest
import torch

from hrnet_fast.cli import main


@pytest.fixture
def run(capsys):
    """run(*argv) -> code, out and err of one command; `.json()` parses out."""

    def call(*argv):
        code = main(list(argv))
        out, err = capsys.readouterr()
        return types.SimpleNamespace(code=code, out=out, err=err, json=lambda: json.loads(out))

    return call


@pytest.fixture(autouse=True)
def _threads():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
