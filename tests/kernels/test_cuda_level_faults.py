"""Faults planted in the CUDA level kernel, one at each place where it keeps order: the emulator finds every one."""

import pytest
import torch

from tests.kernels.cuda_cases import How, bits, chain, clear, play
from tests.kernels.cuda_chains import chains

HALF = torch.float16
SEEDS = range(4)
# what is left out or done wrongly, and in how many places of the kernel
FAULTS = {
    "no barrier": 3,
    "no commit": 2,
    "no wait for copies": 1,
    "one group too few waited for": 1,
    "the next stage": 4,
    "no wait for the launch before": 2,
}


@pytest.fixture(scope="module", params=["convolutions", "chains"])
def levels(request):
    """Three chunks go through two stages."""
    torch.manual_seed(0)
    return chain(HALF, How(chunk=8, stages=2)) if request.param == "convolutions" else chains(HALF)


@pytest.fixture(scope="module")
def played(levels):
    """The places where faults can be planted, and what is right."""
    clear(levels)
    places = play(levels, HALF).places
    return places, bits(levels)


def test_the_places_are_known(played):
    kinds = [place.rsplit(" ", 1)[0] for place in played[0]]
    assert {kind: kinds.count(kind) for kind in kinds} == FAULTS


@pytest.mark.parametrize(("kind", "index"), [(kind, i) for kind, count in FAULTS.items() for i in range(count)])
def test_every_fault_is_found(kind, index, levels, played):
    """By a refusal of the emulator, or by wrong results."""
    places, want = played
    place = sorted(place for place in places if place.rsplit(" ", 1)[0] == kind)[index]
    for seed in SEEDS:
        clear(levels)
        try:
            play(levels, HALF, seed=seed, fault=place)
        except RuntimeError:
            continue
        assert not torch.equal(bits(levels), want), f"{place}, seed {seed}"
