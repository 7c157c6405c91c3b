"""Memory in large pages: where tensors lie, and that it goes back."""

import mmap
import sys
from pathlib import Path

import pytest
import torch

from hrnet_fast.engine.cpu import pages

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc and large pages are of Linux alone")


def resident() -> int:
    """Bytes of memory that this process takes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


@pytest.mark.parametrize("advice", [pages.ADVICE, None, -1])  # -1: what no kernel knows
def test_flat_memory_is_writable_whole_with_large_pages_or_without(monkeypatch, advice):
    monkeypatch.setattr(pages, "ADVICE", advice)
    for count, dtype in ((1, torch.float32), (pages.PAGE, torch.bfloat16), (pages.PAGE // 4 + 1, torch.float32)):
        tensor = pages.flat(count, dtype).fill_(3)
        assert tensor.shape == (count,) and tensor.dtype == dtype and tensor.eq(3).all()


@linux
def test_flat_memory_begins_at_a_large_page():
    assert all(pages.flat(pages.PAGE + odd, torch.uint8).data_ptr() % pages.PAGE == 0 for odd in (0, 1, 4099))


def test_tensors_of_a_room_lie_apart_at_cache_lines(monkeypatch):
    monkeypatch.setattr(pages, "BLOCK", 3 * pages.PAGE)
    allocator, shapes = (
        pages.Allocator(),
        [(5,), (300, 1001), (2, 3, 4), (pages.PAGE,), (1,), (700_000,), (0,), (17, 1)],
    )
    made = [allocator.empty(*shape, dtype=(torch.float32, torch.bfloat16)[i % 2]) for i, shape in enumerate(shapes)]
    for i, tensor in enumerate(made):
        tensor.fill_(i)
    for i, tensor in enumerate(made):
        assert tensor.shape == shapes[i] and tensor.is_contiguous() and tensor.eq(i).all()
        assert tensor.data_ptr() % pages.LINE == 0


def test_a_copy_in_a_room_has_the_same_values():
    tensor = torch.randn(7, 33).t()
    copy = pages.Allocator().copy(tensor)
    assert copy.equal(tensor) and copy.is_contiguous()


@linux
def test_memory_goes_back_with_the_last_tensor_in_it():
    allocator = pages.Allocator()
    before, size = resident(), 64 << 20
    first, second = allocator.empty(size // 4).fill_(1), allocator.empty(size // 4).fill_(2)
    del allocator
    assert resident() - before > 1.9 * size
    del first
    assert resident() - before < 1.1 * size
    assert second.eq(2).all()
    del second
    assert resident() - before < 0.1 * size


@linux
def test_what_is_not_written_takes_no_memory():
    before = resident()
    block = pages.Allocator().empty(100)
    assert resident() - before < 2 * pages.PAGE + (1 << 20) and block.numel() == 100


@linux
def test_large_pages_are_private(monkeypatch):
    flags = []
    real = mmap.mmap
    monkeypatch.setattr(pages.mmap, "mmap", lambda *a, **k: flags.append(k["flags"]) or real(*a, **k))
    pages.flat(pages.PAGE)
    assert flags == [mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS]  # shared ones would not be large
