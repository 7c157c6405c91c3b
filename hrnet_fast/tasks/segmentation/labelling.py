"""From the quarter-size logits of all views to the labels of the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...kernels import upsample_argmax
from .strips import Cropped, Exp, Placed, Resized, RowMap, Stored, Sum, Windows, argmax

_LARGEST_EXPONENT = 80.0  # float32 holds e^88


@dataclass(frozen=True)
class View:
    """A batch of pictures at one scale.

    size: (height, width) of the scaled picture. windows: ((top, left, height, width), logits (N, C, h, w)), each of
    which the logits cover; a window may reach past the view.
    """

    size: tuple[int, int]
    windows: list[tuple[tuple[int, int, int, int], Tensor]]

    @property
    def whole(self) -> Tensor | None:
        """The logits, if one window covers just the view."""
        if len(self.windows) == 1 and self.windows[0][0] == (0, 0, *self.size):
            return self.windows[0][1]
        return None


def label(
    views: Sequence[View],
    *,
    base: tuple[int, int],
    valid: tuple[int, int],
    target: tuple[int, int],
    exp: bool,
    align_corners: bool,
) -> Tensor:  # (N, *target) uint8
    """The class of every pixel.

    Each view is brought to `base`, the size of the fitted picture; their sum is cut to its `valid` part and brought to
    `target`, as testval in lib/core/function.py.
    exp: exponentiate each view's logits first (see Segmenter).
    """
    wholes = [view.whole for view in views]
    size = _one_step(base, valid, target)
    # exp keeps the order of one view's logits if nothing is resized after it
    ordered = not exp or (len(views) == 1 and views[0].size == base == size)
    if size and ordered and len(views) <= 8 and all(whole is not None for whole in wholes):
        return upsample_argmax(wholes, size, align_corners)[:, : target[0], : target[1]].contiguous()
    images = views[0].windows[0][1].shape[0]
    labels = []
    for n in range(images):
        shift = _shift(views, n) if exp else None
        maps = [_view_map(view, n, shift, align_corners) for view in views]
        labels.append(argmax(_chain(maps, base, valid, target, align_corners)))
    return torch.stack(labels)


def _one_step(base: tuple[int, int], valid: tuple[int, int], target: tuple[int, int]) -> tuple[int, int] | None:
    """The size to bring logits to from whose upper left part the labels can be cut; None if that takes two steps."""
    if valid == target:
        return base
    return target if valid == base else None


def _shift(views: Sequence[View], n: int) -> float:
    """What to take from picture n's logits, lest the exponential of the largest overflow; 0 for trained networks'.

    A pixel whose largest logit is 180 below the picture's largest has zeros alone, and so class 0, in float32.
    """
    largest = max(float(logits[n].amax()) for view in views for _, logits in view.windows)
    return max(0.0, largest - _LARGEST_EXPONENT)


def _view_map(view: View, n: int, shift: float | None, align_corners: bool) -> RowMap:
    """Picture n of a view at the view's own size; shift: of the exponential, None for the logits themselves."""
    placed = []
    for (top, left, height, width), logits in view.windows:
        full: RowMap = _resized(Stored(logits[n]), (height, width), align_corners)
        placed.append(Placed(full if shift is None else Exp(full, shift), top, left))
    if len(placed) > 1:
        return Windows(placed, view.size)
    return _cropped(placed[0].map, view.size)


def _chain(
    maps: list[RowMap], base: tuple[int, int], valid: tuple[int, int], target: tuple[int, int], align_corners: bool
) -> RowMap:
    on_base = [_resized(one, base, align_corners) for one in maps]
    total = on_base[0] if len(on_base) == 1 else Sum(on_base)
    return _resized(_cropped(total, valid), target, align_corners)


def _resized(source: RowMap, size: tuple[int, int], align_corners: bool) -> RowMap:
    return source if source.size == size else Resized(source, size, align_corners)


def _cropped(source: RowMap, size: tuple[int, int]) -> RowMap:
    return source if source.size == size else Cropped(source, size)
