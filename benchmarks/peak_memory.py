"""What a runner adds in memory, as torch's allocator or the system tells it."""

from __future__ import annotations

import ctypes
import gc

import torch


class PeakMemory:
    """What a runner adds in memory: what it holds and what its calls need, not what its building needed for a while.

    Make one before the build, call `building_done`, run the runner, and read `bytes`.
    CUDA: torch's allocator, exact for tensors, blind to what other libraries allocate.
    CPU (Linux): growth of the process's peak resident memory, all libraries included. It is an estimate: what a runner
    takes from memory that earlier ones freed to the C library but not to the system is missing from it, and what a
    compiler keeps in the process after its work is part of it. On other systems `bytes` is None.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.before = self._reset()

    def building_done(self) -> None:
        self._reset()

    def bytes(self) -> int | None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
            peak = torch.cuda.max_memory_allocated(self.device)
        else:
            peak = _status_bytes("VmHWM")
        return None if peak is None or self.before is None else max(0, peak - self.before)

    def _reset(self) -> int | None:
        """Sets the peak to what is in use now, and returns that."""
        gc.collect()
        if self.device.type != "cuda":
            return _reset_peak_resident()
        torch.cuda.synchronize(self.device)
        torch.cuda.reset_peak_memory_stats(self.device)
        return torch.cuda.memory_allocated(self.device)


def _status_bytes(key: str) -> int | None:
    """VmRSS (resident now) or VmHWM (its peak) from /proc/self/status."""
    try:
        with open("/proc/self/status") as file:
            return next((int(line.split()[1]) * 1024 for line in file if line.startswith(f"{key}:")), None)
    except OSError:
        return None


def _reset_peak_resident() -> int | None:
    """Gives freed memory back to the system, sets VmHWM to VmRSS (proc(5), clear_refs 5), and returns it."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except (OSError, AttributeError):
        return None
    return _status_bytes("VmRSS")
