"""Faults planted in the CUDA level kernel, one at each place where it keeps order: the emulator finds every one."""

import pytest
import torch

from tests.kernels.cuda_cases import How, bits, chain, clear, play
from tests.kernels.cuda_chains import chains

HALF = torch.float16
SEEDS = range(4)
# what is left out or done wrongly, and in how many places of the kernel that the launches come by; of rounds, whose
# sums have a place of their own and whose weights have one stage, it is fewer
FAULTS = {
    "no barrier": 3,
    "no commit": 2,
    "no wait for copies": 1,
    "one group too few waited for": 1,
    "the next stage": 4,
    "no wait for the launch before": 2,
}
FAULTS_OF = {
    "convolutions": FAULTS,
    "chains": FAULTS,
    "rounds": FAULTS | {"no barrier": 2, "the next stage": 2},
    "warpgroups": FAULTS
    | {"copies are not shown": 1, "no wait for products": 3, "one group of products too few waited for": 3},
}
LEVELS = {  # of convolutions three chunks go through two stages
    "convolutions": lambda: chain(HALF, How(chunk=8, stages=2)),
    "chains": lambda: chains(HALF),
    "warpgroups": lambda: chain(HALF, How((8, 8), (4, 2, 1), 24, chunk=16, stages=2, grouped=True), 40),
    "rounds": lambda: chain(HALF, How((4, 2), (1, 1, 8), 24, rounds=4)),
}


@pytest.fixture(scope="module")
def levels(kind):
    torch.manual_seed(0)
    return LEVELS[kind]()


@pytest.fixture(scope="module")
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def played(levels):
    """The places where faults can be planted, and what is right."""
    clear(levels)
    places = play(levels, HALF).places
    return places, bits(levels)


@pytest.mark.parametrize("kind", LEVELS, indirect=True)
def test_the_places_are_known(kind, played):
    faults = [place.rsplit(" ", 1)[0] for place in played[0]]
    assert {fault: faults.count(fault) for fault in faults} == FAULTS_OF[kind]


@pytest.mark.parametrize(
    ("kind", "fault", "index"),
    [(kind, fault, i) for kind in LEVELS for fault, count in FAULTS_OF[kind].items() for i in range(count)],
    indirect=["kind"],
)
def test_every_fault_is_found(fault, index, kind, levels, played):
    """By a refusal of the emulator, or by wrong results."""
    places, want = played
    place = sorted(place for place in places if place.rsplit(" ", 1)[0] == fault)[index]
    for seed in SEEDS:
        clear(levels)
        try:
            play(levels, HALF, seed=seed, fault=place)
        except RuntimeError:
            continue
        assert not torch.equal(bits(levels), want), f"{place}, seed {seed}"
