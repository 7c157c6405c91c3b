"""How the official test of a data set looks at a picture (HRNet-Semantic-Segmentation: lib/datasets, experiments)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

FITS = ("as_is", "padded", "exact", "short")


@dataclass(frozen=True)
class Protocol:
    """What happens between a picture and the network.

    fit: what the reader makes of a picture, before any scale:
        "as_is"   nothing (lib/datasets/cityscapes.py);
        "padded"  padded to multiples of 8;
        "exact"   resized to `size` (lib/datasets/lip.py);
        "short"   resized until its short side is `base`, and padded to multiples of 8 (lib/datasets/pascal_ctx.py).
    base: the long side of a view at scale 1 (TEST.BASE_SIZE); None for the picture's own size.
    size: (height, width) of a window (TEST.IMAGE_SIZE).
    step: from one window to the next, as a part of `size`.
    whole_to: up to this scale the network sees the view in one piece; None if it does whenever the view fits the
        window's shorter side, and then with padding to a full window.
    """

    fit: str
    base: int | None
    size: tuple[int, int]
    step: float = 2 / 3
    whole_to: float | None = None

    def __post_init__(self) -> None:
        if self.fit not in FITS:
            raise ValueError(f"fit {self.fit!r} is not known; choose one of {', '.join(FITS)}")
        if min(self.size) < 1 or not 0 < self.step <= 1:
            raise ValueError(f"a window of {self.size} that moves by {self.step} of its size is not possible")

    def view_size(self, height: int, width: int, scale: float) -> tuple[int, int]:
        """Height and width of the view of a picture at `scale` (multi_scale_aug of lib/datasets/base_dataset.py)."""
        if self.base is None:
            return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))
        long = max(1, int(self.base * scale + 0.5))
        if height > width:
            return long, max(1, int(width * long / height + 0.5))
        return max(1, int(height * long / width + 0.5)), long

    def windows(self, height: int, width: int, scale: float) -> list[tuple[int, int, int, int]]:
        """(top, left, height, width) of what the network sees of a view; a window may reach past the view.

        Cityscapes moves the last window of a row or column back into the view, the others pad it.
        """
        crop_h, crop_w = self.size
        if self.whole_to is not None:
            if scale <= self.whole_to:
                return [(0, 0, height, width)]
            tops, lefts = (
                [max(min(start + crop, side) - crop, 0) for start in _starts(side, crop, self.step)]
                for side, crop in ((height, crop_h), (width, crop_w))
            )
            return [(t, left, min(crop_h, height), min(crop_w, width)) for t in tops for left in lefts]
        if max(height, width) <= min(self.size):
            return [(0, 0, crop_h, crop_w)]
        tops, lefts = (_starts(max(side, crop), crop, self.step) for side, crop in ((height, crop_h), (width, crop_w)))
        return [(top, left, crop_h, crop_w) for top in tops for left in lefts]


def _starts(side: int, crop: int, step: float) -> list[int]:
    stride = max(1, int(crop * step))
    return [i * stride for i in range(max(0, math.ceil((side - crop) / stride)) + 1)]


PROTOCOLS = {
    "cityscapes": Protocol("as_is", 2048, (1024, 2048), step=1.0, whole_to=1.0),
    "lip": Protocol("exact", 473, (473, 473)),
    "pascal_context59": Protocol("short", 520, (520, 520)),
    "pascal_context60": Protocol("short", 520, (520, 520)),
}

# Every picture in one piece, at its own size.
NATIVE = Protocol("padded", None, (1, 1), whole_to=math.inf)


def protocol_for(classes: str, size: tuple[int, int] | None = None) -> Protocol:
    """The official protocol of a class set, with another evaluation size if one is given; NATIVE for other sets.

    size: (height, width) in place of TEST.IMAGE_SIZE; its long side takes the place of TEST.BASE_SIZE.
    Errors: ValueError for a size with another set, which has no test to scale.
    """
    if size is None:
        return PROTOCOLS.get(classes, NATIVE)
    if classes not in PROTOCOLS:
        raise ValueError(
            f"size {tuple(size)} scales pictures as an official test does, but the class set {classes!r} has none: "
            'give size="native"'
        )
    height, width = size
    return replace(PROTOCOLS[classes], size=(height, width), base=max(size))
