"""Faults planted in the CUDA level kernel, one at each place where it keeps order: the emulator finds every one."""

import pytest
import torch

from tests.kernels.cuda_cases import How, bits, chain, clear, play

HALF = torch.float16
SEEDS = range(4)
# what is left out or done wrongly, and in how many places of the kernel
FAULTS = {
    "no barrier": 3,
    "no commit": 2,
    "no wait for copies": 1,
    "one group too few waited for": 1,
    "the next stage": 2,
    "no wait for the launch before": 2,
}


@pytest.fixture(scope="module")
def levels():
    """Three chunks go through two stages."""
    torch.manual_seed(0)
    return chain(HALF, How(chunk=8, stages=2))


@pytest.fixture(scope="module")
def places(levels):
    return play(levels, HALF).places


def test_the_places_are_known(places):
    kinds = [place.rsplit(" ", 1)[0] for place in places]
    assert {kind: kinds.count(kind) for kind in kinds} == FAULTS


@pytest.mark.parametrize(("kind", "index"), [(kind, i) for kind, count in FAULTS.items() for i in range(count)])
def test_every_fault_is_found(kind, index, levels, places):
    """By a refusal of the emulator, or by wrong results."""
    place = sorted(place for place in places if place.rsplit(" ", 1)[0] == kind)[index]
    clear(levels)
    play(levels, HALF)
    want = bits(levels)
    for seed in SEEDS:
        clear(levels)
        try:
            play(levels, HALF, seed=seed, fault=place)
        except RuntimeError:
            continue
        assert not torch.equal(bits(levels), want), f"{place}, seed {seed}"
