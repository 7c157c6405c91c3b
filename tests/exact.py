"""In float64 torch is its own reference."""

from hrnet_fast.engine.verify import FLOAT64
from hrnet_fast.numerics import flatten_outputs, relative_l2

EXACT = FLOAT64 / 10  # sums in another order, over the depth of a network


def assert_exact(got, want):
    """The same tensors, but for the rounding of float64."""
    got, want = flatten_outputs(got), flatten_outputs(want)
    assert [y.shape for y in got] == [y.shape for y in want]
    assert all(relative_l2(mine, other) <= EXACT for mine, other in zip(got, want))
