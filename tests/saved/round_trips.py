"""A network saved and loaded again, and whether it gives the same."""

import pytest
import torch
from torch.utils import _pytree as pytree

from hrnet_fast import load, save
from tests.golden import fill


def timm_model(**options):
    return fill(pytest.importorskip("timm").create_model("hrnet_w18_small", **options))


def equal(results, expected) -> bool:
    given, wanted = pytree.tree_flatten(results), pytree.tree_flatten(expected)
    return given[1] == wanted[1] and all(a is b is None or torch.equal(a, b) for a, b in zip(given[0], wanted[0]))


def round_trip(model, path, *examples, **options):
    save(model, path, *examples)
    return load(path, **options)
