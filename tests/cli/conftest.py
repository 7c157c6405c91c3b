"""Running commands in this process."""

import json
import types

import pytest

from hrnet_fast.cli import main
from hrnet_fast.tasks.classification import Classifier

SMALL = "hrnet_w18_small.cls_in1k"


@pytest.fixture
def run(capsys):
    """run(*argv) -> code, out and err of one command; `.json()` parses out."""

    def call(*argv):
        code = main(list(argv))
        out, err = capsys.readouterr()
        return types.SimpleNamespace(code=code, out=out, err=err, json=lambda: json.loads(out))

    return call


@pytest.fixture(scope="session")
def classifier():
    return Classifier(SMALL)


@pytest.fixture
def one_network(monkeypatch, classifier):
    """Opens the network once for all tests; counts the pictures that it is given."""
    from hrnet_fast.cli.commands import predict

    seen = []

    class Counting:
        network = classifier.network

        def __call__(self, picture, **options):
            seen.append(picture.shape)
            return classifier(picture, **options)

    monkeypatch.setattr(predict, "open_estimator", lambda args, task: Counting())
    return seen
