"""The assignment: of least cost, and of equal costs the one that the official code takes."""

from itertools import permutations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from hrnet_fast.tasks.bottom_up.assignment import assign

# What the package munkres 1.1.4 gives; for each SciPy gives another assignment of the same cost.
EQUAL_COSTS = [
    ([[1, 0, 2], [1, 3, 0], [1, 0, 3]], [0, 2, 1]),
    ([[3, 1, 0, 0], [3, 0, 3, 3], [1, 0, 2, 1]], [2, 1, 3]),
    ([[1, 2, 2, 3, 3], [1, 0, 1, 2, 3], [3, 1, 0, 3, 0], [0, 0, 3, 2, 1], [1, 1, 2, 3, 3]], [2, 1, 4, 0, 3]),
    ([[2, 2, 3, 1, 0, 2], [2, 1, 1, 1, 0, 2], [1, 0, 1, 2, 0, 0], [1, 1, 3, 3, 1, 2]], [4, 3, 5, 0]),
    ([[2, 1, 2, 1, 0], [1, 2, 3, 2, 0], [2, 1, 2, 2, 0]], [3, 0, 4]),
    ([[0, 1, 3, 1, 2, 0], [0, 1, 2, 2, 1, 0], [2, 1, 1, 1, 0, 0], [1, 3, 3, 3, 1, 3]], [3, 5, 4, 0]),
    ([[2, 3, 2, 2], [3, 2, 0, 0], [0, 2, 0, 2], [0, 3, 3, 0]], [1, 2, 0, 3]),
    ([[1, 2, 1, 3], [1, 2, 3, 3], [1, 3, 0, 2]], [0, 1, 2]),
    (
        [[1, 1, 1, 0, 0, 2], [1, 3, 3, 0, 3, 1], [2, 2, 3, 1, 0, 0], [1, 2, 0, 0, 0, 0], [1, 1, 0, 0, 1, 2]],
        [3, 0, 4, 5, 2],
    ),
    ([[2, 2, 2, 1, 3], [0, 1, 3, 1, 1], [0, 2, 2, 2, 2], [3, 0, 0, 2, 2], [1, 2, 1, 0, 2]], [3, 4, 0, 1, 2]),
]


@pytest.mark.parametrize(("cost", "columns"), EQUAL_COSTS)
def test_of_equal_costs_it_is_the_official_one(cost, columns):
    cost = np.array(cost, float)
    assert assign(cost) == columns
    rows = np.arange(len(cost))
    other = linear_sum_assignment(cost)[1]
    assert other.tolist() != columns and cost[rows, other].sum() == cost[rows, columns].sum()


def costs(seed):
    generator = np.random.default_rng(seed)
    rows = int(generator.integers(1, 12))
    columns = rows + int(generator.integers(0, 8))
    kind = seed % 3
    if kind == 0:
        return generator.normal(size=(rows, columns))
    if kind == 1:
        return generator.integers(0, 5, (rows, columns)).astype(float)
    cost = 100 * np.round(generator.uniform(0, 9, (rows, columns))) - generator.uniform(size=(rows, 1))
    cost[:, columns // 2 + 1 :] = 1e10  # as peaks that may join nobody
    return cost


@pytest.mark.parametrize("seed", range(60))
def test_no_assignment_costs_less(seed):
    cost = costs(seed)
    before = cost.copy()
    columns = assign(cost)
    assert len(set(columns)) == len(cost) and (cost == before).all()
    rows = np.arange(len(cost))
    least = cost[linear_sum_assignment(cost)].sum()
    assert cost[rows, columns].sum() == pytest.approx(least, rel=1e-14, abs=1e-12)  # sums in another order


@pytest.mark.parametrize("seed", range(10))
def test_among_all_there_are(seed):
    cost = np.random.default_rng(seed).normal(size=(4, 6))
    rows = np.arange(4)
    assert assign(cost) == list(min(permutations(range(6), 4), key=lambda columns: cost[rows, columns].sum()))
