"""The matrices of Winograd's minimal filtering F(m x m, 3x3), and weights transformed by them.

Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks" (2016), section 4; the construction from points is
Toom and Cook's. The transforms of maps are written out in csrc/cpu/items/winograd_transforms.h.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import lru_cache

import torch
from torch import Tensor

# Beside infinity. Those of m = 4 err least of the sets tried: one layer less than half as much as 0, +-1, +-2.
POINTS = {
    2: (0, 1, -1),
    3: (Fraction(1, 2), -Fraction(1, 2), Fraction(5, 4), -Fraction(5, 4)),
    4: (0, Fraction(5, 8), -Fraction(5, 8), Fraction(3, 2), -Fraction(3, 2)),
}

Matrix = list[list[Fraction]]


@lru_cache
def transform_matrices(m: int) -> tuple[Tensor, Tensor, Tensor]:
    """A^T [m, m + 2], G [m + 2, 3] and B^T [m + 2, m + 2] in float64: y = A^T ((G w) * (B^T d)) along one axis."""
    points = [Fraction(p) for p in POINTS[m]]
    others = [[q for q in points if q != p] for p in points]
    results = [[p**i for p in points] + [Fraction(i == m - 1)] for i in range(m)]
    weights = [[p**j / _product(p - q for q in rest) for j in range(3)] for p, rest in zip(points, others)]
    patch = [_polynomial(rest) + [Fraction(0)] for rest in others] + [_polynomial(points)]
    return _tensor(results), _tensor(weights + [[Fraction(0), Fraction(0), Fraction(1)]]), _tensor(patch)


def transform_weight(weight: Tensor, m: int) -> Tensor:
    """G w G^T of a weight [Cout, Cin, 3, 3] -> [Cout, Cin, m + 2, m + 2], in its dtype but computed in float64."""
    g = transform_matrices(m)[1]
    both = torch.kron(g, g)  # [(m + 2)^2, 9]
    made = weight.double().flatten(2) @ both.T
    return made.to(weight.dtype).unflatten(2, (m + 2, m + 2))


def _product(factors: Iterable[Fraction]) -> Fraction:
    result = Fraction(1)
    for factor in factors:
        result *= factor
    return result


def _polynomial(roots: Sequence[Fraction]) -> list[Fraction]:
    """Coefficients of the product of (x - root), the constant one first."""
    result = [Fraction(1)]
    for root in roots:
        shifted, scaled = [Fraction(0), *result], [-root * c for c in result] + [Fraction(0)]
        result = [a + b for a, b in zip(shifted, scaled)]
    return result


def _tensor(matrix: Matrix) -> Tensor:
    return torch.tensor([[float(x) for x in row] for row in matrix], dtype=torch.float64, device="cpu")
