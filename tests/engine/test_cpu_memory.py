"""Which maps of an arena find their border of zeros as another map left it."""

import pytest

from hrnet_fast.engine.cpu.memory import kept_borders
from hrnet_fast.plan import Level, Sum, Term, Value

WIDE, NARROW = (1, 2, 8, 8), (1, 4, 4, 8)  # both of 200 elements with their borders


def values(*placed):
    return [Value((1, 3, 4, 4)), *(Value(shape, offset, 256) for shape, offset in placed)]


def levels(*written):
    return [Level(tuple(Sum("", value, (Term(0),), False) for value in level)) for level in written]


CASES = {
    "alone": ([(WIDE, 0)], [[1]], {1}),
    "the same shape again": ([(WIDE, 0), (WIDE, 0)], [[1], [2]], {1, 2}),
    "side by side": ([(WIDE, 0), (NARROW, 256)], [[1, 2]], {1, 2}),
    "another shape in between": ([(WIDE, 0), (WIDE, 0), (NARROW, 0)], [[1], [2], [3]], {2}),
    "another shape over a part": ([(WIDE, 0), (NARROW, 192), (WIDE, 0)], [[1], [2], [3]], {1}),
    "the same shape, moved": ([(WIDE, 0), (WIDE, 64)], [[1], [2]], set()),
    "two shapes by turns": ([(WIDE, 0), (NARROW, 0), (WIDE, 0), (NARROW, 0)], [[1], [2], [3], [4]], set()),
    "another shape at the end of a call": ([(WIDE, 0), (WIDE, 0), (NARROW, 128)], [[1], [2], [3]], {2}),
}  # fmt: skip


@pytest.mark.parametrize(("placed", "written", "kept"), list(CASES.values()), ids=list(CASES))
def test_a_border_is_kept_where_the_same_shape_was_there_before(placed, written, kept):
    assert kept_borders(values(*placed), levels(*written)) == kept
