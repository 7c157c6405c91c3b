"""Peaks become people: planted ones, a slow reference, and the official code's rules at their borders."""

from itertools import permutations

import numpy as np
import pytest

from hrnet_fast.tasks.bottom_up import Grouping
from hrnet_fast.tasks.bottom_up.grouping import group, order_of


def peaks(seed, count, keypoints=17, dims=2, absent=0.2, apart=3.0, spread=0.05, room=None):
    """Scores (K, C) and tags (K, C, T) of `count` people, by falling score, and whose each is, (K, C); -1: none.
    Everyone has the first keypoint: who is known later may be mixed up with others, as officially."""
    generator = np.random.default_rng(seed)
    room = count + 2 if room is None else room
    scores, tags = np.zeros((keypoints, room), np.float32), np.zeros((keypoints, room, dims), np.float32)
    whose = np.full((keypoints, room), -1)
    for k in range(keypoints):
        there = np.flatnonzero(generator.uniform(size=count) >= (absent if k else 0))[:room]
        heights = np.sort(generator.uniform(0.2, 1, len(there)))[::-1]
        order = generator.permutation(there)
        scores[k, : len(there)], whose[k, : len(there)] = heights, order
        tags[k, : len(there)] = apart * order[:, None] + generator.normal(0, spread, (len(there), dims))
    return scores, tags, whose


def owners(members, whose):
    """For each person found, the planted ones that its peaks are of."""
    return [{int(whose[k, c]) for k, c in enumerate(row) if c >= 0} for row in members]


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("count", [1, 2, 7, 30])
def test_planted_people_are_told_apart(count, dims):
    scores, tags, whose = peaks(count, count, dims=dims)
    members = group(scores, tags)
    assert sorted(map(sorted, owners(members, whose))) == [[p] for p in range(count)]
    assert (members >= 0).sum() == (whose >= 0).sum()


@pytest.mark.parametrize("keypoints", [14, 17, 5])
def test_no_peaks_are_no_people(keypoints):
    assert group(np.zeros((keypoints, 30), np.float32), np.zeros((keypoints, 30, 2), np.float32)).shape == (
        0,
        keypoints,
    )


def test_people_do_not_depend_on_the_order_of_their_peaks():
    scores, tags, _ = peaks(3, 6)
    order = np.random.default_rng(0).permutation(scores.shape[1])
    first, other = group(scores, tags), group(scores[:, order], tags[:, order])
    back = np.where(other >= 0, order[other], -1)
    assert sorted(first.tolist()) == sorted(back.tolist()) and len(first) == 6


def slow(scores, tags, rules):
    """The rules once more, with every assignment tried: people as lists of (keypoint, peak); None if two assignments
    of a keypoint cost the same."""
    found = []
    for k in order_of(len(scores)):
        rows = [c for c in range(scores.shape[1]) if scores[k, c] > rules.detection_threshold]
        old = found[: rules.max_people]
        if rules.ignore_too_much and len(old) == rules.max_people:
            continue
        far = [
            [np.linalg.norm(tags[k, c].astype(float) - np.mean([tags[j, i] for j, i in one], axis=0)) for one in old]
            for c in rows
        ]
        cost = [[round(d) * 100 - float(scores[k, c]) if rules.use_detection_val else d for d in line]
                for c, line in zip(rows, far)]  # fmt: skip
        places = list(range(len(old))) + [None] * max(len(rows) - len(old), 0)
        sums = {}
        for chosen in permutations(range(len(places)), len(rows)):
            chosen = tuple(places[i] for i in chosen)
            sums[chosen] = sum(1e5 if p is None else cost[r][p] for r, p in enumerate(chosen))
        ranked = sorted(sums.items(), key=lambda entry: entry[1])
        if len(ranked) > 1 and ranked[1][1] - ranked[0][1] < 1e-4:
            return None
        for r, p in enumerate(ranked[0][0]):
            if p is not None and far[r][p] < rules.tag_threshold:
                old[p].append((k, rows[r]))
            else:
                found.append([(k, rows[r])])
    return found


RULES = {
    "official": Grouping(),
    "exact distances": Grouping(use_detection_val=False),
    "few people": Grouping(max_people=3),
    "no more than few": Grouping(max_people=3, ignore_too_much=True),
    "thresholds": Grouping(detection_threshold=0.5, tag_threshold=2.0),
}


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_a_slow_reference_finds_the_same_people(rules):
    compared = 0
    for seed in range(120):
        scores, tags, _ = peaks(seed, 1 + seed % 4, 9, 1 + seed % 2, apart=1.3, spread=0.3)
        if (expected := slow(scores, tags, rules)) is None:
            continue
        members = group(scores, tags, rules)
        assert [sorted((k, c) for k, c in enumerate(row) if c >= 0) for row in members] == [sorted(p) for p in expected]
        compared += len(expected) > 1
    assert compared > 30


def two(height=0.9, tag=0.0, **rules):
    """One person of a nose, and an eye of `height` and `tag`."""
    scores, tags = np.zeros((17, 4), np.float32), np.zeros((17, 4, 1), np.float32)
    scores[0, 0], scores[1, 0], tags[1, 0] = 0.5, height, tag
    return group(scores, tags, Grouping(**rules)).tolist()


def test_a_peak_must_be_above_the_threshold():
    above = np.nextafter(np.float32(0.25), np.float32(1))
    assert len(two(0.25, 5.0, detection_threshold=0.25)) == 1
    assert len(two(above, 5.0, detection_threshold=0.25)) == 2


def test_a_tag_must_be_nearer_than_the_threshold():
    assert len(two(tag=1.0)) == 2 and len(two(tag=np.nextafter(np.float32(1), np.float32(0)))) == 1


def test_rounded_distances_let_the_higher_peak_come_first():
    scores, tags = np.zeros((17, 4), np.float32), np.zeros((17, 4, 1), np.float32)
    scores[0, 0] = 0.5
    scores[1, :2], tags[1, :2, 0] = (0.9, 0.3), (0.4, 0.1)
    assert group(scores, tags)[0, 1] == 0 and group(scores, tags, Grouping(use_detection_val=False))[0, 1] == 1


def test_only_the_first_thirty_may_be_joined():
    """Forty people; what belongs to the last ten begins another person at each keypoint."""
    everyone = np.hstack([np.arange(40)[:, None] / 1000, 10 * np.eye(40)])  # all as far from each other
    scores, tags = np.full((17, 30), 0.5, np.float32), np.zeros((17, 30, 41), np.float32)
    tags[::2], tags[1::2] = everyone[:30], everyone[10:]
    tags[..., 0] += np.arange(17)[:, None] / 10
    members = group(scores, tags)
    counts = (members >= 0).sum(1)
    assert len(members) == 30 + 8 * 10 and counts[:30].tolist() == [9] * 10 + [17] * 20 and (counts[30:] == 1).all()
    assert len(group(scores, tags, Grouping(ignore_too_much=True))) == 30


def test_who_begins_with_the_tag_of_another_takes_its_place():
    """As officially: people are known by the first number of their first tag."""
    scores, tags = np.zeros((17, 2), np.float32), np.zeros((17, 2, 2), np.float32)
    scores[0], scores[1, 0] = (0.9, 0.8), 0.7
    tags[0, 1, 1], tags[1, 0, 1] = 5, 5
    assert group(scores, tags)[:, :2].tolist() == [[1, 0]]


@pytest.mark.parametrize(
    ("keypoints", "order"),
    [
        (17, [0, 1, 2, 3, 4, 5, 6, 11, 12, 7, 8, 9, 10, 13, 14, 15, 16]),
        (14, [0, 1, 2, 3, 4, 5, 6, 11, 12, 7, 8, 9, 10, 13]),
        (9, [0, 1, 2, 3, 4, 5, 6, 7, 8]),
        (19, [0, 1, 2, 3, 4, 5, 6, 11, 12, 7, 8, 9, 10, 13, 14, 15, 16, 17, 18]),
    ],
)
def test_the_order_of_keypoints(keypoints, order):
    assert order_of(keypoints) == order


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"max_people": 0}, "max_people is 0; it must be at least 1"),
        ({"tag_threshold": float("nan")}, "tag_threshold is nan; a finite number is needed"),
        ({"detection_threshold": float("inf")}, "detection_threshold is inf; a finite number is needed"),
    ],
)
def test_bad_rules_get_one_sentence(values, sentence):
    with pytest.raises(ValueError) as caught:
        Grouping(**values)
    assert str(caught.value) == sentence
