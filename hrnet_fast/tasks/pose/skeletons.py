"""The keypoints that a network is trained on: names, mirror pairs, limbs, and how exactly each can be placed."""

from __future__ import annotations

from dataclasses import dataclass

from ..mirror import mirrored


@dataclass(frozen=True)
class Skeleton:
    """keypoints: names in the network's order. pairs: left and right ones, which change places in a mirror image.

    links: keypoints that a limb joins. sigmas: the standard deviations of COCO's OKS; empty where OKS is not defined.
    """

    name: str
    keypoints: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...]
    links: tuple[tuple[int, int], ...]
    sigmas: tuple[float, ...] = ()

    @property
    def swap(self) -> list[int]:
        """Keypoint k of a picture is keypoint swap[k] of its mirror image."""
        return mirrored(len(self.keypoints), self.pairs)


# lib/dataset/coco.py and, for the sigmas, lib/nms/nms.py of the official pose repository
COCO = Skeleton(
    "coco",
    (
        "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
        "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
        "right_ankle",
    ),
    ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)),
    (
        (15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8), (7, 9), (8, 10),
        (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6),
    ),
    (.026, .025, .025, .035, .035, .079, .079, .072, .072, .062, .062, .107, .107, .087, .087, .089, .089),
)  # fmt: skip

# lib/dataset/mpii.py (flip_pairs, parent_ids)
MPII = Skeleton(
    "mpii",
    (
        "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "pelvis", "thorax",
        "upper_neck", "head_top", "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow",
        "left_wrist",
    ),
    ((0, 5), (1, 4), (2, 3), (10, 15), (11, 14), (12, 13)),
    (
        (0, 1), (1, 2), (2, 6), (3, 6), (3, 4), (4, 5), (6, 7), (7, 8), (8, 9), (10, 11), (11, 12), (12, 7), (13, 7),
        (13, 14), (14, 15),
    ),
)  # fmt: skip

# The names of CrowdPose's annotations; pairs: lib/dataset/transforms/build.py of HigherHRNet (FLIP_CONFIG); sigmas:
# crowdposetools/cocoeval.py of github.com/Jeff-sjtu/CrowdPose
CROWDPOSE = Skeleton(
    "crowdpose",
    (
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip",
        "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle", "head", "neck",
    ),
    ((0, 1), (2, 3), (4, 5), (6, 7), (8, 9), (10, 11)),
    (
        (10, 8), (8, 6), (11, 9), (9, 7), (6, 7), (0, 6), (1, 7), (0, 2), (1, 3), (2, 4), (3, 5), (0, 13), (1, 13),
        (12, 13),
    ),
    # tenths, since 1.07 / 10 is not .107 to the last bit
    tuple(s / 10 for s in (.79, .79, .72, .72, .62, .62, 1.07, 1.07, .87, .87, .89, .89, .79, .79)),
)  # fmt: skip

_BY_KEYPOINTS = {len(skeleton.keypoints): skeleton for skeleton in (COCO, MPII, CROWDPOSE)}


def skeleton_for(given: Skeleton | None, keypoints: int, network: str) -> Skeleton:
    """The given skeleton, or that of so many keypoints. ValueError for one that does not fit the network, named so."""
    skeleton = given or skeleton_of(keypoints)
    if len(skeleton.keypoints) != keypoints:
        raise ValueError(
            f"the skeleton {skeleton.name!r} has {len(skeleton.keypoints)} keypoints and {network} {keypoints}; they "
            "must agree"
        )
    return skeleton


def skeleton_of(keypoints: int) -> Skeleton:
    """COCO's for 17 keypoints, MPII's for 16, CrowdPose's for 14. ValueError for another number."""
    if keypoints not in _BY_KEYPOINTS:
        raise ValueError(
            f"the network has {keypoints} keypoints, and only COCO's 17, MPII's 16 and CrowdPose's 14 are known by "
            "name: give skeleton=Skeleton(...)"
        )
    return _BY_KEYPOINTS[keypoints]
