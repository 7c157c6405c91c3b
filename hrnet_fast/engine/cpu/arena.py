"""Where a compiled plan keeps its values: all in one arena, sums over a summand of theirs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from ...plan import Conv, Item, Plan, PlanError, Sum, Term
from ...plan.lifetimes import dead_after, lifetimes
from .memory import bordered


@dataclass(frozen=True)
class Arena:
    """places: the elements of every map but the inputs, border and tail included; torch has memory for labels and
    masks. kept: values that find their border of zeros as it was left there. size: of the whole, in elements."""

    places: Mapping[int, range]
    kept: frozenset[int]
    size: int


def fit(plan: Plan, tail: int) -> Arena:
    """A checked arena for a plan, of which a map takes a border and `tail` elements behind it.

    Raises PlanError for places that `check_arena` refuses.
    """
    places = place(plan, tail)
    size = max((elements.stop for elements in places.values()), default=0)
    arena = Arena(places, kept_borders(plan, places), size)
    check_arena(plan, arena, tail)
    return arena


def in_place(plan: Plan) -> dict[int, int]:
    """Result -> the summand of its item whose memory it may take: of its shape, and read by nothing else any more.

    For items that read a summand's pixel only where they write it next, which keeps a map in the cache of its core.
    """
    taken: dict[int, int] = {}
    for level, dead in zip(plan.levels, dead_after(plan)):
        reads = Counter(value for item in level.items for value in item.reads)
        free = {Term(value) for value in dead if reads[value] == 1 and value not in plan.inputs}
        for item in level.items:
            for term in item.terms if isinstance(item, (Conv, Sum)) else ():
                if term in free and plan.values[term.value] == plan.values[item.out]:
                    taken[item.out] = term.value
                    break
    return taken


def place(plan: Plan, tail: int) -> dict[int, range]:
    """The elements of every value but the inputs: the largest first, each at the lowest place that is free.

    A place is free where no value already there lives at the same level. Writing and reading count as living, so an
    item never writes what another item of its level reads.
    """
    life = lifetimes(plan)
    life = {value: levels for value, levels in life.items() if plan.values[value].dtype is None}
    first: dict[int, int] = {}  # result -> the value that had its memory first
    for result, before in in_place(plan).items():
        origin = first[result] = first.get(before, before)
        life[origin] = (life[origin][0], life.pop(result)[1])
    sizes = {value: bordered(plan.values[value].shape, tail) for value in life}
    places: dict[int, range] = {}
    for value in sorted(sizes, key=lambda v: (-sizes[v], life[v])):
        birth, death = life[value]
        beside = [places[v] for v in places if life[v][0] <= death and birth <= life[v][1]]
        begin = 0
        for other in sorted(beside, key=lambda elements: elements.start):
            if other.start - begin >= sizes[value]:
                break
            begin = max(begin, other.stop)
        places[value] = range(begin, begin + sizes[value])
    return places | {result: places[origin] for result, origin in first.items()}


def kept_borders(plan: Plan, places: Mapping[int, range]) -> frozenset[int]:
    """Results that find their border of zeros as the result of the same shape that had their place before left it.

    Those of one call after another: an arena begins as zeros, and most maps follow one of the same branch. To clear
    every border takes 0.5 % of a network's time, and 2 % where two cores share no cache.
    """
    lying: dict[range, tuple[int, ...]] = {}  # place -> shape of what was written there last
    for _ in range(2):  # the second time as in every later call
        kept = set()
        for item in (item for item in plan.items() if item.out in places):
            elements, shape = places[item.out], plan.values[item.out].shape
            if lying.get(elements) == shape:
                kept.add(item.out)
                continue
            for other in [other for other in lying if _overlap(elements, other)]:
                del lying[other]
            lying[elements] = shape
    return frozenset(kept)


def check_arena(plan: Plan, arena: Arena, tail: int) -> None:
    """Raise PlanError, naming item and level, unless a plan can be played in an arena, call after call.

    A place holds its value with border and tail, and lies in the arena. An item writes over nothing that its level
    reads or writes, but for its own summand, of the same shape and read once. What is read, and every result, was not
    written over before. A border is kept only where a map of the same shape and place was the last to be written.
    """
    whole: dict[int, range] = {}  # value -> its place, if nothing has been written over it
    in_arena = {value for value, own in enumerate(plan.values) if own.dtype is None}
    for step, (index, level) in enumerate([*enumerate(plan.levels)] * 2):  # two calls: borders are kept between them
        needed = Counter(value for item in level.items for value in item.reads if value in in_arena)
        if lost := needed.keys() - plan.inputs - whole.keys():
            raise PlanError(f"level {index}: value {min(lost)} is read, but was written over")
        for item in (item for item in level.items if item.out in in_arena):
            elements = arena.places.get(item.out, range(0))
            if len(elements) < bordered(plan.values[item.out].shape, tail):
                raise PlanError(f"level {index}: {item.name} has no place, or too small a one, for its result")
            if elements.start < 0 or elements.stop > arena.size:
                raise PlanError(f"level {index}: {item.name} writes outside of the arena of {arena.size} elements")
            under = [value for value, other in whole.items() if _overlap(elements, other)]
            for value in under:
                if value in needed and not (needed[value] == 1 and _takes(item, value, plan, arena)):
                    raise PlanError(f"level {index}: {item.name} writes over value {value}, which is still needed")
            alike = any(whole[v] == elements and plan.values[v] == plan.values[item.out] for v in under)
            if item.out in arena.kept and not alike and step >= len(plan.levels):
                raise PlanError(f"level {index}: {item.name} keeps a border that was written over")
            for value in under:
                del whole[value]
            whole[item.out] = elements
            needed[item.out] += 1
    if lost := in_arena.intersection(plan.outputs) - set(plan.inputs) - whole.keys():
        raise PlanError(f"result value {min(lost)} is written over before the end")


def _takes(item: Item, value: int, plan: Plan, arena: Arena) -> bool:
    """Whether an item may write over a value that it alone reads: a summand, pixel by pixel."""
    summand = isinstance(item, (Conv, Sum)) and Term(value) in item.terms
    return summand and plan.values[value] == plan.values[item.out] and arena.places[value] == arena.places[item.out]


def _overlap(a: range, b: range) -> bool:
    return a.start < b.stop and b.start < a.stop
