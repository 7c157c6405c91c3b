"""From the quarter-size logits of all views to the labels of the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ...kernels import Axis, resample_argmax, upsample_argmax


@dataclass(frozen=True)
class View:
    """A batch of pictures at one scale.

    size: (height, width) of the scaled picture. windows: ((top, left, height, width), logits (N, C, h, w)), each of
    which the logits cover; a grid of windows of one size, which may reach past the view. They are evenly apart, but
    the last ones may be nearer.
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
    wholes = [whole for view in views if (whole := view.whole) is not None]
    size = _one_step(base, valid, target)
    # exp keeps the order of one view's logits if nothing is resized after it
    ordered = not exp or (len(views) == 1 and views[0].size == base == size)
    if size and ordered and len(wholes) == len(views) <= 8:
        return upsample_argmax(wholes, size, align_corners)[:, : target[0], : target[1]].contiguous()
    maps: list[Tensor] = []
    rows: list[Axis] = []
    cols: list[Axis] = []
    for view in views:
        steps = [_steps({place[axis] for place, _ in view.windows}) for axis in (0, 1)]
        for place, logits in view.windows:
            maps.append(logits)
            for axis, axes in enumerate((rows, cols)):
                sizes = (both[axis] for both in (view.size, base, valid, target))
                axes.append(Axis(place[axis + 2], place[axis], *steps[axis], *sizes))
    return resample_argmax(maps, rows, cols, exp, align_corners)


def _steps(starts: set[int]) -> tuple[int, int]:
    """How far apart windows start along an axis, and where the last one does."""
    last = max(starts)
    step = min(starts - {0}, default=1)
    if starts != {*range(0, last, step), last}:
        raise ValueError(f"windows that start at {sorted(starts)} are not evenly apart from 0 on, but the last")
    return step, last


def _one_step(base: tuple[int, int], valid: tuple[int, int], target: tuple[int, int]) -> tuple[int, int] | None:
    """The size to bring logits to from whose upper left part the labels can be cut; None if that takes two steps."""
    if valid == target:
        return base
    return target if valid == base else None
