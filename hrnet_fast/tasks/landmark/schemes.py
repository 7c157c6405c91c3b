"""The four landmark schemes: which points mirror each other, which lines join them, what errors are divided by.

Pairs: MATCHED_PARTS in lib/utils/transforms.py of HRNet-Facial-Landmark-Detection, counted from 0.
Normalisers: compute_nme in its lib/core/evaluation.py, which goes by the number of points.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from ..mirror import mirrored

Line = tuple[int, ...]


@dataclass(frozen=True)
class Scheme:
    """name: of its data set. points: how many. pairs: points that change places in a mirror image.

    eyes: the two points whose distance in the annotation errors are divided by (the outer corners of the eyes);
        None for AFLW, where it is the side of the face's box.
    lines: points to join in a drawing, by part of the face; a line that ends where it began is closed.
    """

    name: str
    points: int
    pairs: tuple[tuple[int, int], ...]
    eyes: tuple[int, int] | None
    lines: MappingProxyType[str, tuple[Line, ...]]

    @property
    def swap(self) -> list[int]:
        """Point k of a picture is point swap[k] of its mirror image."""
        return mirrored(self.points, self.pairs)


def _open(first: int, last: int) -> Line:
    return tuple(range(first, last + 1))


def _closed(first: int, last: int) -> Line:
    return (*range(first, last + 1), first)


def _mirror(first: int, last: int, other: int) -> tuple[tuple[int, int], ...]:
    """Pairs first..last with `other` and the points below it."""
    return tuple((first + k, other - k) for k in range(last - first + 1))


_WFLW = Scheme(
    "WFLW",
    98,
    (
        *_mirror(0, 15, 32),
        *_mirror(33, 37, 46), *_mirror(38, 41, 50),
        *_mirror(55, 56, 59),
        *_mirror(60, 64, 72), *_mirror(65, 67, 75),
        *_mirror(76, 78, 82), *_mirror(83, 84, 87), *_mirror(88, 89, 92), (93, 95),
        (96, 97),
    ),
    (60, 72),
    MappingProxyType({
        "contour": (_open(0, 32),),
        "brows": (_closed(33, 41), _closed(42, 50)),
        "nose": (_open(51, 54), _open(55, 59)),
        "eyes": (_closed(60, 67), _closed(68, 75), (96,), (97,)),
        "mouth": (_closed(76, 87), _closed(88, 95)),
    }),
)  # fmt: skip

_300W = Scheme(
    "300W",
    68,
    (
        *_mirror(0, 7, 16),
        *_mirror(17, 21, 26),
        *_mirror(31, 32, 35),
        *_mirror(36, 39, 45), *_mirror(40, 41, 47),
        *_mirror(48, 50, 54), *_mirror(55, 56, 59), *_mirror(60, 61, 64), (65, 67),
    ),
    (36, 45),
    MappingProxyType({
        "contour": (_open(0, 16),),
        "brows": (_open(17, 21), _open(22, 26)),
        "nose": (_open(27, 30), _open(31, 35)),
        "eyes": (_closed(36, 41), _closed(42, 47)),
        "mouth": (_closed(48, 59), _closed(60, 67)),
    }),
)  # fmt: skip

_COFW = Scheme(
    "COFW",
    29,
    ((0, 1), (2, 3), (4, 6), (5, 7), (8, 9), (10, 11), (12, 14), (13, 15), (16, 17), (18, 19), (22, 23)),
    (8, 9),
    MappingProxyType(
        {
            "contour": ((28,),),
            "brows": ((0, 4, 2, 5, 0), (1, 6, 3, 7, 1)),
            "nose": ((18, 21, 19), (20,)),
            "eyes": ((8, 12, 10, 13, 8), (9, 14, 11, 15, 9), (16,), (17,)),
            "mouth": ((22, 24, 23, 27, 22), (22, 25, 23, 26, 22)),
        }
    ),
)

_AFLW = Scheme(
    "AFLW",
    19,
    (*_mirror(0, 2, 5), *_mirror(6, 8, 11), (12, 14), (15, 17)),
    None,
    MappingProxyType(
        {
            "contour": ((18,),),
            "brows": (_open(0, 2), _open(3, 5)),
            "nose": (_open(12, 14),),
            "eyes": (_open(6, 8), _open(9, 11)),
            "mouth": (_open(15, 17),),
        }
    ),
)

SCHEMES = MappingProxyType({scheme.points: scheme for scheme in (_WFLW, _300W, _COFW, _AFLW)})


def scheme_of(points: int) -> Scheme:
    """The scheme with so many points; ValueError for a number that no data set has."""
    if points not in SCHEMES:
        known = ", ".join(f"{count} ({scheme.name})" for count, scheme in SCHEMES.items())
        raise ValueError(f"no landmark scheme has {points} points; the known ones have {known}")
    return SCHEMES[points]
