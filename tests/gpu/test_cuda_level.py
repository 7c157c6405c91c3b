"""The CUDA level kernel on a GPU: cases that the emulator plays on a CPU. Skipped elsewhere."""

import threading

import pytest
import torch
from torch import Tensor

from hrnet_fast.kernels import extension
from tests.kernels.bordered_maps import empty_map, term_maps
from tests.kernels.cuda_cases import Case, How, bits, chain, clear, describe, make_conv, make_sum, memory_of, verify
from tests.kernels.cuda_chains import ChainStep, bottleneck, chains, make_chain

WHY = "there is no GPU" if not torch.cuda.is_available() else str(extension().reason)
pytestmark = pytest.mark.skipif(not torch.cuda.is_available() or extension().kind != "cuda", reason=WHY)
DTYPES = [torch.float16, torch.bfloat16, torch.float32]
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["float16", "bfloat16", "tf32"])
SHAPES = [
    How((8, 8), (2, 1, 4), 32), How((8, 16), (4, 2, 1), 48, chunk=16, stages=2), How((4, 8), (1, 1, 8), 16),
    How((16, 16), (8, 1, 1), 24, chunk=32, stages=2), How((8, 8), (2, 2, 2), 40), How((8, 8), (2, 4, 1), 64),
    How((4, 8), (1, 1, 8), 24, rounds=3), How((16, 8), (4, 2, 1), 48, grouped=True),
    How((16, 16), (8, 1, 1), 24, chunk=32, stages=2, grouped=True), How((8, 12), (4, 1, 2), 64, rounds=5, grouped=True),
]  # fmt: skip


def on_gpu(levels: list[list[Case]], overlap: bool = True) -> None:
    """Launches on copies of the cases' tensors, whose outputs then take what the copies hold."""
    inputs, outputs = memory_of(levels)
    copies = {tensor.data_ptr(): tensor.cuda() for tensor in (*inputs, *outputs)}
    there = [[copies[tensor.data_ptr()] for tensor in group] for group in (inputs, outputs)]

    def address(tensor: Tensor) -> int:
        return copies[tensor.data_ptr()].data_ptr()

    for index, level in enumerate(levels):
        description = torch.frombuffer(bytearray(describe(level, address)), dtype=torch.uint8)
        torch.ops.hrnet_fast.level(*there, description, overlap and index > 0)
    for tensor in outputs:
        tensor.copy_(copies[tensor.data_ptr()])


@by_dtype
@pytest.mark.parametrize("how", SHAPES, ids=str)
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (1, 1)], ids=["3x3", "3x3s2", "1x1"])
def test_convolutions(kernel, stride, how, dtype):
    case = make_conv(dtype, 72, 90, kernel, stride, (37, 29), 3, how, "=nb")
    on_gpu([[case]])
    verify([case])


@by_dtype
def test_formed_sources_and_sums(dtype):
    formed = make_conv(dtype, 18, 17, 1, 1, (21, 19), 2, terms="c", relu="none", sources="=nb")
    added = make_sum(term_maps("=nbc", 2, 18, (21, 19), dtype), empty_map((2, 18, 21, 19), dtype), dtype)
    on_gpu([[formed, added]])
    verify([formed, added])


@by_dtype
@pytest.mark.parametrize("kept", [False, True], ids=["loaded", "kept"])
@pytest.mark.parametrize("steps", [[ChainStep(40, columns=24, chunk=16)] * 2, bottleneck(18, 40, 24, 16)], ids=len)
def test_chains(steps, kept, dtype):
    case = make_chain(dtype, 40, steps, (37, 29), 3, How((4, 8), (2, 1, 4), 24, 16, 3), "n" if kept else "=n", kept)
    on_gpu([[case]])
    verify([case])


@by_dtype
@pytest.mark.parametrize(
    "make",
    [
        lambda dtype: chain(dtype, How(chunk=8, stages=2)),
        chains,
        lambda dtype: chain(dtype, How((4, 2), (1, 1, 8), 24, rounds=4)),
        lambda dtype: chain(dtype, How((8, 8), (4, 1, 2), 24, chunk=8, stages=2, grouped=True)),
    ],
    ids=["", "chains", "rounds", "warpgroups"],
)
def test_launches_that_overlap_are_right_and_give_the_same_bits_every_time(make, dtype):
    levels, results = make(dtype), []
    for _ in range(20):
        clear(levels)
        on_gpu(levels)
        results.append(bits(levels))
    assert all(torch.equal(result, results[0]) for result in results)
    for level in levels:  # each beside what the ones before it left
        verify(level)


def test_threads_launch_with_much_and_little_shared_memory_at_once():
    makes = (How((4, 8), (1, 1, 8), 16), How((16, 16), (8, 1, 1), 24))
    cases = [make_conv(torch.float16, 72, 72, size=(64, 64), how=how) for how in makes]
    failed = []

    def work(case: Case) -> None:
        try:
            for _ in range(50):
                on_gpu([[case]])
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(case,)) for case in cases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    verify(cases)


def test_a_description_that_points_elsewhere_is_refused():
    case = make_conv(torch.float16, 16, 16)
    inputs, outputs = ([tensor.cuda() for tensor in group] for group in memory_of([[case]]))
    description = torch.frombuffer(bytearray(describe([case])), dtype=torch.uint8)
    with pytest.raises(ValueError, match="of an item does not lie in one of the outputs"):
        torch.ops.hrnet_fast.level(inputs, outputs, description, False)
