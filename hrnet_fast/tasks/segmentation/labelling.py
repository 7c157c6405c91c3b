"""From the quarter-size logits of all views to the labels of the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ...kernels import resample_argmax, upsample_argmax
from .axes import axis_taps, starts_of


@dataclass(frozen=True)
class View:
    """A batch of pictures at one scale.

    size: (height, width) of the scaled picture. windows: ((top, left, height, width), logits (N, C, h, w)), each of
    which the logits cover; a grid of windows of one size, which may reach past the view.
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
    maps, inner, rows, cols = [], [], [], []
    for view in views:
        starts = starts_of([place for place, _ in view.windows])
        for (top, left, height, width), logits in view.windows:
            maps.append(logits)
            inner.append((height, width))
            down, across = (
                axis_taps(length, start, all_starts, *sides, align_corners)
                for length, start, all_starts, *sides in zip(
                    (height, width), (top, left), starts, view.size, base, valid, target
                )
            )
            rows.append(down)
            cols.append(across)
    return resample_argmax(maps, inner, rows, cols, exp, align_corners)


def _one_step(base: tuple[int, int], valid: tuple[int, int], target: tuple[int, int]) -> tuple[int, int] | None:
    """The size to bring logits to from whose upper left part the labels can be cut; None if that takes two steps."""
    if valid == target:
        return base
    return target if valid == base else None
