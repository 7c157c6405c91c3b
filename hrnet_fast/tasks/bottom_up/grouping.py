"""Associative embedding: peaks with alike tags are one person (Newell et al., NeurIPS 2017; HigherHRNet section 3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .assignment import assign

# Params of lib/core/group.py: from the head to the feet, which CrowdPose's 14 keypoints follow by their numbers too
_ORDER = (0, 1, 2, 3, 4, 5, 6, 11, 12, 7, 8, 9, 10, 13, 14, 15, 16)
_NOBODY = 1e10  # what it costs a peak to join nobody where there are more peaks than people


@dataclass(frozen=True)
class Grouping:
    """How peaks become people; the values are those of the official test.

    max_people: peaks of a keypoint that are looked at, and people that a peak may join (DATASET.MAX_NUM_PEOPLE); there
        may be more people. detection_threshold: lower peaks count as none. tag_threshold: peaks further from a person's
        mean tag begin a person of their own. use_detection_val: distances are rounded to whole ones, and of equally
        near peaks the higher come first. ignore_too_much: begins no more than max_people.
    Errors: ValueError for max_people below 1 and thresholds that are not finite.
    """

    max_people: int = 30
    detection_threshold: float = 0.1
    tag_threshold: float = 1.0
    use_detection_val: bool = True
    ignore_too_much: bool = False

    def __post_init__(self) -> None:
        if self.max_people < 1:
            raise ValueError(f"max_people is {self.max_people}; it must be at least 1")
        for name in ("detection_threshold", "tag_threshold"):
            if not np.isfinite(getattr(self, name)):
                raise ValueError(f"{name} is {getattr(self, name)}; a finite number is needed")


OFFICIAL = Grouping()


def order_of(keypoints: int) -> list[int]:
    """The order in which keypoints are grouped: the official one where it has that many, else their own."""
    order = [*_ORDER[:keypoints], *range(len(_ORDER), keypoints)]
    return order if sorted(order) == list(range(keypoints)) else list(range(keypoints))


def group(scores: np.ndarray, tags: np.ndarray, rules: Grouping = OFFICIAL) -> np.ndarray:
    """Which peak of each keypoint belongs to which person: (P, K) int64, -1 for none, in the order of their beginnings.

    scores: (K, C) float32. tags: (K, C, T) float32.
    match_by_tag of lib/core/group.py. As there, people are known by the first tag of their first peak: another person
    that begins with the very same number takes its place.
    """
    blank = np.full(len(scores), -1)
    people: dict[float, np.ndarray] = {}
    seen: dict[float, list[np.ndarray]] = {}  # the tags that a person's mean is taken of

    def begin(joint: int, peak: int) -> None:
        key = float(tags[joint, peak, 0])
        people.setdefault(key, blank.copy())[joint] = peak
        seen[key] = [tags[joint, peak]]

    for joint in order_of(len(scores)):
        peaks = np.flatnonzero(scores[joint] > rules.detection_threshold)
        if not len(peaks):
            continue
        known = list(people)[: rules.max_people]
        if not known:
            for peak in peaks.tolist():
                begin(joint, peak)
            continue
        if rules.ignore_too_much and len(known) == rules.max_people:
            continue
        means = np.array([np.mean(seen[key], axis=0) for key in known])
        distances = np.linalg.norm(tags[joint, peaks, None].astype(np.float64) - means, axis=2)  # (peaks, known)
        cost = np.round(distances) * 100 - scores[joint, peaks, None] if rules.use_detection_val else distances
        nobody = np.full((len(peaks), max(len(peaks) - len(known), 0)), _NOBODY)
        for row, (peak, person) in enumerate(zip(peaks.tolist(), assign(np.hstack([cost, nobody])))):
            if person >= len(known) or distances[row, person] >= rules.tag_threshold:
                begin(joint, peak)
            else:
                people[known[person]][joint] = peak
                seen[known[person]].append(tags[joint, peak])
    return np.array(list(people.values()), np.int64).reshape(-1, len(scores))
