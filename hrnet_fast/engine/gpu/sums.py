"""The sums of a level, of maps that convolutions left: one Triton launch for all, on channels-last maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hrnet_fast.kernels.bordered import BorderedMap
from hrnet_fast.kernels.level import Launch, MapTerm, SumWork

from ...plan import Term
from .lower import SUM_TILE, mode_of


@dataclass(frozen=True)
class SumOf:
    """A sum of a plan's values, of a logical shape (N, C, H, W)."""

    shape: tuple[int, ...]
    terms: tuple[Term, ...]
    relu: bool


def sum_all(sums: Sequence[SumOf], values: Mapping[int, Tensor]) -> list[Tensor]:
    """The sums [N, C', H, W] of padded channels-last maps [N, C', h, w], by one launch."""
    works, results = [], []
    for each in sums:
        first = values[each.terms[0].value]
        n, channels, h, w = each.shape[0], first.shape[1], *each.shape[2:]
        made = torch.empty(n, h, w, channels, dtype=first.dtype, device=first.device)
        terms = tuple(MapTerm(_flat(values[term.value], each.shape[1]), mode_of(term)) for term in each.terms)
        works.append(SumWork(BorderedMap(made, (n, each.shape[1], h, w), 0), terms, SUM_TILE, 0, each.relu))
        results.append(made.permute(0, 3, 1, 2))
    Launch(works, stages=2)()
    return results


def _flat(x: Tensor, channels: int) -> BorderedMap:
    """A channels-last map as the kernel sees it."""
    n, _, h, w = x.shape
    return BorderedMap(x.permute(0, 2, 3, 1).contiguous(), (n, channels, h, w), 0)
