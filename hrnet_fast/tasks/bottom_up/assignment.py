"""The assignment of least cost, by the algorithm of Munkres (Journal of the SIAM 5, 1957).

Costs of whole distances are often equal, and then it is the order of the search that decides which keypoints make a
person. The order here is that of the package munkres 1.0 to 1.1.4, which the official code calls; SciPy's solver and
later versions of that package find other assignments of the same cost.
"""

from __future__ import annotations

import numpy as np


def assign(cost: np.ndarray) -> list[int]:
    """The column of each row, no column twice, with the least sum of costs.

    cost: (rows, columns) finite float64, no more rows than columns.
    """
    rows, columns = cost.shape
    square = np.zeros((columns, columns))
    square[:rows] = cost - cost.min(1, keepdims=True)
    starred = _Stars(square == 0)
    while not starred.complete:
        _improve(square, starred)
    return starred.column_of[:rows].tolist()


class _Stars:
    """Zeros of which no two share a row or column: column_of each row and row_of each column, -1 for none."""

    def __init__(self, zeros: np.ndarray) -> None:
        self.column_of, self.row_of = (np.full(len(zeros), -1) for _ in range(2))
        for row, zero in enumerate(zeros):
            free = np.flatnonzero(zero & (self.row_of < 0))
            if len(free):
                self.put(row, free[0])

    @property
    def complete(self) -> bool:
        return bool((self.row_of >= 0).all())

    def put(self, row: int, column: int) -> int:
        """Stars a zero, and returns the row that this column's star is taken from, or -1."""
        before = int(self.row_of[column])
        self.column_of[row], self.row_of[column] = column, row
        return before


def _improve(square: np.ndarray, starred: _Stars) -> None:
    """Stars one zero more, changing `square` until there is a path to it."""
    row_covered, column_covered = np.zeros(len(square), bool), starred.row_of >= 0
    primed: dict[int, int] = {}
    row = column = 0  # where the search goes on
    while True:
        is_open = (square == 0) & ~row_covered[:, None] & ~column_covered
        found = np.flatnonzero(is_open.any(1))
        if not len(found):
            least = square[~row_covered][:, ~column_covered].min()
            square[row_covered] += least  # and not only where both are covered, which rounds otherwise
            square[:, ~column_covered] -= least
            row = column = 0
            continue
        row = int(found[np.searchsorted(found, row) % len(found)])  # the next one, from the top after the last
        places = np.flatnonzero(is_open[row])
        column = int(places[np.searchsorted(places, column) - 1])  # the one before, from the right before the first
        primed[row] = column
        if starred.column_of[row] < 0:
            break
        column = int(starred.column_of[row])
        row_covered[row], column_covered[column] = True, False
    while row >= 0:
        row = starred.put(row, primed[row])
