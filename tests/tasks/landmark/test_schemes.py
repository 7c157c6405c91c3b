"""The four schemes against the official tables of mirror pairs."""

import pytest

from hrnet_fast.tasks.landmark.schemes import SCHEMES, scheme_of

# MATCHED_PARTS in lib/utils/transforms.py, as printed there: from 1, but WFLW from 0.
OFFICIAL = {
    68: "1-17 2-16 3-15 4-14 5-13 6-12 7-11 8-10 18-27 19-26 20-25 21-24 22-23 32-36 33-35 37-46 38-45 39-44 40-43 "
    "41-48 42-47 49-55 50-54 51-53 62-64 61-65 68-66 59-57 60-56",
    19: "1-6 2-5 3-4 7-12 8-11 9-10 13-15 16-18",
    29: "1-2 5-7 3-4 6-8 9-10 11-12 13-15 17-18 14-16 19-20 23-24",
    98: "0-32 1-31 2-30 3-29 4-28 5-27 6-26 7-25 8-24 9-23 10-22 11-21 12-20 13-19 14-18 15-17 33-46 34-45 35-44 36-43 "
    "37-42 38-50 39-49 40-48 41-47 60-72 61-71 62-70 63-69 64-68 65-75 66-74 67-73 55-59 56-58 76-82 77-81 78-80 87-83 "
    "86-84 88-92 89-91 95-93 96-97",
}


@pytest.mark.parametrize("points", SCHEMES)
def test_pairs_are_the_official_ones(points):
    first = 0 if points == 98 else 1
    want = {frozenset(int(number) - first for number in pair.split("-")) for pair in OFFICIAL[points].split()}
    assert {frozenset(pair) for pair in SCHEMES[points].pairs} == want


@pytest.mark.parametrize("points", SCHEMES)
def test_swapping_twice_changes_nothing_and_the_eyes_change_places(points):
    scheme = SCHEMES[points]
    assert [scheme.swap[k] for k in scheme.swap] == list(range(points))
    if scheme.eyes:
        assert scheme.swap[scheme.eyes[0]] == scheme.eyes[1]


@pytest.mark.parametrize("points", SCHEMES)
def test_lines_pass_through_every_point_and_mirror_into_lines(points):
    scheme = SCHEMES[points]
    lines = [line for part in scheme.lines.values() for line in part]
    assert {k for line in lines for k in line} == set(range(points))
    edges = {frozenset(edge) for line in lines for edge in zip(line, line[1:])}
    assert {frozenset(scheme.swap[k] for k in edge) for edge in edges} == edges


def test_an_unknown_number_of_points():
    with pytest.raises(ValueError, match=r"no landmark scheme has 70 points; the known ones have 98 \(WFLW\)"):
        scheme_of(70)
