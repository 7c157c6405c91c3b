"""Where values lie in an arena: of whole networks, of arenas broken on purpose, and which borders of zeros are kept."""

from collections import Counter
from dataclasses import replace
from functools import cache
from itertools import combinations
from math import prod
from random import Random

import pytest
import torch

from hrnet_fast import create_model
from hrnet_fast.engine.cpu import arena as arena_module
from hrnet_fast.engine.cpu.arena import Arena, check_arena, fit, in_place, kept_borders
from hrnet_fast.engine.cpu.memory import bordered
from hrnet_fast.engine.cpu.prologues import with_prologues_as_sums
from hrnet_fast.plan import Conv, Level, Plan, PlanError, Sum, Term, Value, make_plan
from hrnet_fast.plan.lifetimes import lifetimes

TAIL = 2  # elements behind a map, as a word of two bfloat16 values has
NETWORKS = {
    "hrnet_w32.pose_coco_256x192": (256, 192),
    "hrnet_w48.seg_cityscapes": (512, 1024),
    "hrnet_w48.seg_ocr_cityscapes": (512, 1024),
    "hrnet_w18.cls_in1k": (224, 224),
    "hrnet_w32.det_coco": (256, 320),
    "hrnet_w18_small.seg_lip": (65, 97),
}


@cache
def plan_of(name):
    with torch.device("meta"):
        return with_prologues_as_sums(make_plan(create_model(name), torch.empty(2, 3, *NETWORKS[name])))


@pytest.mark.parametrize("tail", [0, TAIL])
@pytest.mark.parametrize("name", NETWORKS)
def test_places_of_whole_networks(name, tail):
    plan = plan_of(name)
    arena = fit(plan, tail)
    check_arena(plan, arena, tail)
    assert all(place.start % 64 == 0 for place in arena.places.values())
    life = lifetimes(plan)
    alive = [
        sum(bordered(plan.values[v].shape, tail) for v, (first, last) in life.items() if first <= level <= last)
        for level in range(len(plan.levels))
    ]
    assert arena.kept and arena.size < 1.05 * max(alive)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_result_takes_the_place_of_a_summand_that_nothing_else_reads(name):
    plan = plan_of(name)
    places, taken = fit(plan, 0).places, in_place(plan)
    blocks = [item for item in plan.items() if item.name.endswith("conv2") and "branches" in item.name]
    assert blocks and all(taken[item.out] == item.terms[0].value for item in blocks)
    assert all(places[result] == places[summand] for result, summand in taken.items())


class Faults:
    """Arenas broken on purpose; each maps a good one to a bad one and the sentence that it must be refused with."""

    @staticmethod
    def no_place(plan, arena):
        places = {value: place for value, place in arena.places.items() if value not in plan.outputs}
        return replace(arena, places=places), "has no place"

    @staticmethod
    def no_border(plan, arena):
        return shortened(plan, arena, lambda shape: prod(shape)), "too small a one"

    @staticmethod
    def no_tail(plan, arena):
        return shortened(plan, arena, lambda shape: bordered(shape, 0)), "too small a one"

    @staticmethod
    def past_the_end(plan, arena):
        return replace(arena, size=arena.size - 64), "outside of the arena"

    @staticmethod
    def before_the_start(plan, arena):
        return at(-64, arena, plan.outputs[0]), "outside of the arena"

    @staticmethod
    def over_a_map_that_the_item_convolves(plan, arena):
        item = next(i for i in plan.items() if i.name == "stage2.0.branches.0.0.conv1")
        assert plan.values[item.reads[0]] == plan.values[item.out]
        return moved(arena, item.out, arena.places[item.reads[0]]), "which is still needed"

    @staticmethod
    def over_a_map_that_another_item_of_the_level_reads(plan, arena):
        level = next(level for level in plan.levels if level.items[0].name == "stage2.0.branches.0.0.conv1")
        first, second = level.items[:2]
        return at(arena.places[second.reads[0]].start, arena, first.out), "which is still needed"

    @staticmethod
    def two_results_of_a_level_in_one_place(plan, arena):
        first, second = next(level for level in plan.levels if len(level.items) > 1).items[:2]
        return at(arena.places[first.out].start, arena, second.out), "which is still needed"

    @staticmethod
    def over_a_part_of_the_summand(plan, arena):
        result, summand = next(pair for pair in in_place(plan).items() if arena.places[pair[1]].start)
        return at(arena.places[summand].start - 64, arena, result), "which is still needed"

    @staticmethod
    def over_a_summand_that_its_level_reads_twice(plan, arena):
        item, summand = next(
            (item, term.value)
            for level in plan.levels
            for item in level.items
            for term in (item.terms if isinstance(item, (Conv, Sum)) else ())
            if term.resize is None and plan.values[term.value] == plan.values[item.out]
            if sum(other.reads.count(term.value) for other in level.items) > 1
        )
        return moved(arena, item.out, arena.places[summand]), "which is still needed"

    @staticmethod
    def over_a_map_that_a_later_level_reads(plan, arena):
        life = lifetimes(plan)
        item, waiting = next(
            (level.items[0], value)
            for index, level in enumerate(plan.levels)
            for value in life
            if life[value][0] < index < life[value][1] < len(plan.levels)
            if all(value not in item.reads for item in level.items)
        )
        return at(arena.places[waiting].start, arena, item.out), "is read, but was written over"

    @staticmethod
    def over_an_interpolated_summand(plan, arena):
        item = next(i for i in plan.items() if isinstance(i, Sum) and i.terms[-1].resize)
        return at(arena.places[item.terms[-1].value].start, arena, item.out), "which is still needed"

    @staticmethod
    def over_a_border_that_is_kept(plan, arena):
        value = next(item.out for item in plan.items() if item.out not in arena.kept)
        return replace(arena, kept=arena.kept | {value}), "keeps a border that was written over"


def moved(arena, value, place):
    return replace(arena, places={**arena.places, value: place}, size=max(arena.size, place.stop))


def at(start, arena, value):
    return moved(arena, value, range(start, start + len(arena.places[value])))


def shortened(plan, arena, size_of):
    value = plan.levels[0].items[0].out
    start = arena.places[value].start
    return moved(arena, value, range(start, start + size_of(plan.values[value].shape)))


@pytest.mark.parametrize("name", ["hrnet_w32.pose_coco_256x192", "hrnet_w48.seg_ocr_cityscapes"])
@pytest.mark.parametrize("fault", [name for name in vars(Faults) if not name.startswith("_")])
def test_the_checker_sees(fault, name):
    plan = plan_of(name)
    broken, sentence = getattr(Faults, fault)(plan, fit(plan, TAIL))
    with pytest.raises(PlanError, match=sentence):
        check_arena(plan, broken, TAIL)


def test_the_checker_sees_a_result_that_is_written_over():
    plan = plan_of("hrnet_w32.pose_coco_256x192")
    early = replace(plan, outputs=(*plan.outputs, plan.levels[0].items[0].out))
    with pytest.raises(PlanError, match="is written over before the end"):
        check_arena(early, fit(plan, TAIL), TAIL)


def test_the_checker_sees_every_border_that_is_not_zero():
    plan = plan_of("hrnet_w18_small.seg_lip")
    arena = fit(plan, TAIL)
    for value in arena.places.keys() - arena.kept:
        with pytest.raises(PlanError, match="keeps a border that was written over"):
            check_arena(plan, replace(arena, kept=arena.kept | {value}), TAIL)


def test_the_checker_refuses_what_lives_together_in_one_place_and_nothing_else():
    plan, draw = plan_of("hrnet_w18_small.seg_lip"), Random(0)
    arena, life = replace(fit(plan, TAIL), kept=frozenset()), lifetimes(plan)
    taken, seen = in_place(plan), Counter()
    for _ in range(300):
        value, other = draw.sample(sorted(arena.places), 2)
        start = draw.choice([arena.places[other].start, draw.randrange(0, arena.size, 64)])
        broken = at(start, arena, value)
        good = not any(
            max(broken.places[a].start, broken.places[b].start) < min(broken.places[a].stop, broken.places[b].stop)
            for a, b in combinations(broken.places, 2)
            if life[a][0] <= life[b][1] and life[b][0] <= life[a][1]
            if not (taken.get(b) == a and broken.places[a] == broken.places[b])
        )
        try:
            check_arena(plan, broken, TAIL)
            accepted = True
        except PlanError:
            accepted = False
        assert accepted == good, (value, start)
        seen[good] += 1
    assert min(seen[True], seen[False]) > 50


WIDE, NARROW = (1, 2, 8, 8), (1, 4, 4, 8)  # both of 200 elements with their borders


def test_a_summand_that_a_later_level_reads_keeps_its_place(monkeypatch):
    sums = (Sum("", 1, (Term(0),)), Sum("", 2, (Term(1), Term(0))), Sum("", 3, (Term(2), Term(1))))
    plan = Plan("", (Value(WIDE),) * 4, (0,), (3,), tuple(Level((item,)) for item in sums), None, None)
    arena = fit(plan, 0)
    assert in_place(plan) == {3: 2} and arena.places[1] != arena.places[2] == arena.places[3]
    monkeypatch.setattr(arena_module, "in_place", lambda plan: {2: 1})
    with pytest.raises(PlanError, match="level 2: value 1 is read, but was written over"):
        fit(plan, 0)


def test_a_summand_of_another_shape_keeps_its_place():
    levels = (Level((Sum("", 1, (Term(0),)),)), Level((Sum("", 2, (Term(1),)),)))
    plan = Plan("", (Value(WIDE), Value(WIDE), Value(NARROW)), (0,), (2,), levels, None, None)
    assert not in_place(plan)
    with pytest.raises(PlanError, match="writes over value 1, which is still needed"):
        check_arena(plan, Arena(dict.fromkeys((1, 2), range(256)), frozenset(), 256), 0)


CASES = {
    "alone": ([(WIDE, 0)], [[1]], {1}),
    "the same shape again": ([(WIDE, 0), (WIDE, 0)], [[1], [2]], {1, 2}),
    "side by side": ([(WIDE, 0), (NARROW, 256)], [[1, 2]], {1, 2}),
    "another shape in between": ([(WIDE, 0), (WIDE, 0), (NARROW, 0)], [[1], [2], [3]], {2}),
    "another shape over a part": ([(WIDE, 0), (NARROW, 192), (WIDE, 0)], [[1], [2], [3]], {1}),
    "the same shape, moved": ([(WIDE, 0), (WIDE, 64)], [[1], [2]], set()),
    "two shapes by turns": ([(WIDE, 0), (NARROW, 0), (WIDE, 0), (NARROW, 0)], [[1], [2], [3], [4]], set()),
    "another shape at the end of a call": ([(WIDE, 0), (WIDE, 0), (NARROW, 128)], [[1], [2], [3]], {2}),
    "a part of another shape, itself written over": (
        [(WIDE, 0), (NARROW, 192), (NARROW, 320), (WIDE, 0)], [[1], [2], [3], [4]], {1}
    ),
}  # fmt: skip


@pytest.mark.parametrize(("placed", "written", "kept"), list(CASES.values()), ids=list(CASES))
def test_a_border_is_kept_where_the_same_shape_was_there_before(placed, written, kept):
    values = (Value((1, 3, 4, 4)), *(Value(shape) for shape, _ in placed))
    levels = tuple(Level(tuple(Sum("", value, (Term(0),)) for value in level)) for level in written)
    plan = Plan("", values, (0,), (), levels, None, None)
    places = {value: range(start, start + 256) for value, (_, start) in enumerate(placed, 1)}
    assert kept_borders(plan, places) == kept
    for value in places:
        arena = Arena(places, frozenset({value}), 1024)
        if value in kept:
            check_arena(plan, arena, 0)
        else:
            with pytest.raises(PlanError, match="keeps a border that was written over"):
                check_arena(plan, arena, 0)
