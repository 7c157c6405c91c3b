"""The package as it is imported, and what stands for an input."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from torch import nn

import hrnet_fast
from hrnet_fast import explain, optimize, verify
from hrnet_fast.plan import PlanError

ROOT = Path(__file__).resolve().parents[1]


def test_public_names_are_there():
    for name in hrnet_fast.__all__:
        assert getattr(hrnet_fast, name) is not None
    assert {"create_model", "list_models", "load_weights", "save_weights", "optimize", "explain", "verify"} <= set(
        dir(hrnet_fast)
    )


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="module 'hrnet_fast' has no attribute 'optimise'"):
        hrnet_fast.optimise  # noqa: B018


def test_import_is_cheap():
    """Importing the package adds under 0.1 s to importing torch, and no rival or task library."""
    code = (
        "import sys, time, torch; before = set(sys.modules); start = time.process_time(); import hrnet_fast; "
        "print(time.process_time() - start); print(*sorted(set(sys.modules) - before))"
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    seconds, modules = out.split("\n")[:2]
    assert float(seconds) < 0.1
    assert all(name.startswith("hrnet_fast") for name in modules.split())


class Both(nn.Conv2d):
    def forward(self, x, y=None):
        x, y = x if y is None else (x, y)
        return super().forward(x) + super().forward(y)


@pytest.mark.parametrize("nest", [tuple, list], ids=["two inputs", "a list"])
def test_shapes_stand_for_inputs_wherever_these_may_stand(nest):
    net, example = Both(3, 4, 3), nest([(1, 3, 8, 8), (1, 3, 8, 8)])
    inputs = example if nest is tuple else (example,)
    fast = optimize(net, example=example)
    assert explain(net, *inputs).digest == explain(fast, *inputs).digest
    assert len(fast._prepared.programs) == 1 and verify(net, fast, *inputs).passed


@pytest.mark.parametrize("shape", [(1, 3, -8, 8), (1, 3, 8.0, 8), (1, 3, True, 8)], ids=str)
def test_what_is_no_shape_is_told(shape):
    for ask in (lambda net: optimize(net, example=shape), lambda net: explain(net, shape)):
        with pytest.raises(TypeError, match=f"shapes such as .* and None, not {re.escape(str(shape))}"):
            ask(nn.Conv2d(3, 4, 3))


def test_the_sides_of_a_shape_are_no_inputs_one_by_one():
    net, sides = nn.Conv2d(3, 4, 3), (1, 3, 8, 8)
    with pytest.raises(TypeError, match="shapes such as .* and None, not 1"):
        explain(net, *sides)
    with pytest.raises(TypeError, match="inputs must be tensors, or lists of them, not int"):
        verify(net, optimize(net, example=sides), *sides)


class Branches(nn.Module):
    """Looks like a HighResolutionModule."""

    def __init__(self, *branches):
        super().__init__()
        self.branches, self.fuse_layers = nn.ModuleList(branches), nn.ModuleList()

    def forward(self, x):
        return [branch(y) for branch, y in zip(self.branches, x)]


def test_maps_are_assumed_by_what_the_branches_read():
    plan = explain(Branches(nn.Conv2d(4, 4, 1, groups=4), nn.Conv2d(8, 8, 1, groups=8)))
    assert [plan.values[value].shape[1] for value in plan.inputs] == [4, 8]
    with pytest.raises(PlanError, match=r"the input was taken to be \(1, 4, 256, 256\): give example="):
        optimize(Branches(nn.Conv2d(4, 4, 1), nn.Identity()))
