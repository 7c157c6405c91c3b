"""Which convolutions of a plan form chains, each played by the same CTAs one after another, and where that moves them.

A chain takes its place in one level: that of its first convolution, or the first one after all that its last
one adds is there. What it reads is then written, and who reads its result comes later still, so nothing else need move;
a level that is left without items is dropped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import prod

from hrnet_fast.kernels.cuda_level import MOST_STEPS

from ...plan import Conv, Item, Level, Plan, Term


@dataclass(frozen=True)
class Chain:
    """Convolutions, each of which reads what the one before leaves, and nothing else does. shapes: of those values."""

    items: tuple[Conv, ...]
    shapes: tuple[tuple[int, ...], ...]

    @property
    def name(self) -> str:
        return " > ".join(item.name for item in self.items)

    @property
    def out(self) -> int:
        return self.items[-1].out

    @property
    def sources(self) -> tuple[Term, ...]:
        return self.items[0].sources

    @property
    def terms(self) -> tuple[Term, ...]:
        return self.items[-1].terms

    @property
    def reads(self) -> tuple[int, ...]:
        return tuple(term.value for term in (*self.sources, *self.terms))

    @property
    def keeps_its_source(self) -> bool:
        """Whether the first thing that it adds is what it reads, as the residual of a block is."""
        return self.terms[:1] == self.sources and all(max(item.conv.stride) == 1 for item in self.items)


@dataclass(frozen=True)
class Schedule:
    """Levels of a plan whose items may be chains. origins: the levels of the plan whose place they take."""

    levels: tuple[Level, ...]
    origins: tuple[int, ...]

    def chains(self) -> dict[Chain, int]:
        """Each chain with the level of the plan whose place its launch takes."""
        played = zip(self.levels, self.origins)
        return {item: origin for level, origin in played for item in level.items if isinstance(item, Chain)}

    def at(self, origin: int) -> Level | None:
        """What is launched in place of a level of the plan, if anything is."""
        return self.levels[self.origins.index(origin)] if origin in self.origins else None

    def elsewhere(self, level: Level, origin: int) -> list[int]:
        """The levels whose launches play items of this one."""
        outs = {item.out for item in level.items}
        return sorted(
            {at for chain, at in self.chains().items() for item in chain.items if item.out in outs} - {origin}
        )


def find_chains(plan: Plan, playable: Callable[[Item], bool]) -> list[Chain]:
    """As many convolutions as follow each other, at most MOST_STEPS, in the plan's order.

    playable: whether the kernel can play an item.
    """
    readers = Counter(value for item in plan.items() for value in item.reads)
    readers.update(plan.outputs)
    convs = {item.out: item for item in plan.items() if isinstance(item, Conv) and playable(item)}
    after: dict[int, Conv] = {}  # value -> the convolution that goes on with it
    for item in convs.values():
        before = convs.get(item.sources[0].value)
        if before is None or readers[before.out] != 1 or before.terms:
            continue
        if item.sources == (Term(before.out),) and not (item.has_prologue or before.has_prologue):
            after[before.out] = item
    followers, found = {item.out for item in after.values()}, []
    for item in convs.values():
        run = [item] if item.out not in followers else []
        while run and run[-1].out in after:
            run.append(after[run[-1].out])
        for first in range(0, len(run) - 1, MOST_STEPS):
            items = tuple(run[first : first + MOST_STEPS])
            if len(items) > 1:
                found.append(Chain(items, tuple(plan.values[each.out].shape for each in items[:-1])))
    return found


def schedule(plan: Plan, chains: Iterable[Chain]) -> Schedule:
    """The plan's levels with these chains in them."""
    placed: dict[int, list[Chain]] = {}
    moved: set[int] = set()
    written = written_in(plan)
    for chain in chains:
        placed.setdefault(place(chain, written), []).append(chain)
        moved |= {item.out for item in chain.items}
    levels, origins = [], []
    for index, level in enumerate(plan.levels):
        items = (*placed.get(index, ()), *(item for item in level.items if item.out not in moved))
        if items:
            levels.append(replace(level, items=items))
            origins.append(index)
    return Schedule(tuple(levels), tuple(origins))


def written_in(plan: Plan) -> dict[int, int]:
    """Value -> the level that writes it; inputs before all."""
    written = {item.out: index for index, level in enumerate(plan.levels) for item in level.items}
    return dict.fromkeys(plan.inputs, -1) | written


def place(chain: Chain, written: dict[int, int]) -> int:
    """The level that plays a chain."""
    return max(written[chain.items[0].out], *(1 + written[term.value] for term in chain.terms), 0)


def choose_chains(plan: Plan, found: Sequence[Chain], cost: Callable[[Level], float]) -> list[Chain]:
    """The chains that end their levels sooner.

    cost: of a level, whatever the others hold. Chains that begin at one level are chosen together: the one with the
    largest maps alone, the first two, and so on.
    """
    written = written_in(plan)
    chosen: list[Chain] = []
    fronts: dict[int, list[Chain]] = {}
    for chain in found:
        fronts.setdefault(written[chain.items[0].out], []).append(chain)
    for _, front in sorted(fronts.items()):
        front.sort(key=lambda chain: -max(prod(shape[2:]) for shape in chain.shapes))
        touched = {place(chain, written) for chain in front}
        touched |= {written[item.out] for chain in front for item in chain.items}

        times = []
        for count in range(len(front) + 1):
            made = schedule(plan, [*chosen, *front[:count]])
            times.append(sum(cost(level) for level, at in zip(made.levels, made.origins) if at in touched))
        chosen += front[: times.index(min(times))]
    return chosen
