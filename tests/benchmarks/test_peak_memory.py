"""benchmarks.peak_memory: what counts as a runner's memory."""

from __future__ import annotations

import pytest
import torch

from benchmarks.peak_memory import PeakMemory


def test_peak_memory_counts_what_a_runner_holds_but_not_what_its_build_dropped():
    mib = 2**20
    memory = PeakMemory(torch.device("cpu"))
    held = torch.ones(32 * mib, dtype=torch.uint8)
    dropped = torch.ones(96 * mib, dtype=torch.uint8)
    del dropped
    memory.building_done()
    used = torch.ones(16 * mib, dtype=torch.uint8)
    peak = memory.bytes()
    if peak is None:
        pytest.skip("this system does not tell a process's peak memory")
    assert held.numel() + used.numel() <= 1.02 * peak and peak < 80 * mib
