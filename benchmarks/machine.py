"""What the numbers were measured on, in words that fit any machine and name none."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import torch

from benchmarks import isa
from benchmarks.sources import ROOT
from hrnet_fast.processor import available_cores, cpu_info, cpu_model

PACKAGES = ("hrnet_fast", "torch", "triton", "onnxruntime", "openvino", "timm", "numpy")
_NOTABLE_ISA = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16", "asimd", "sve", "bf16")


def describe_machine() -> dict[str, object]:
    """CPU model, usable cores, the instruction sets that matter, memory in GiB and the operating system.

    Where HRNET_FAST_CPU_ISA holds everything to an instruction set, the model's name says so: it is another machine.
    """
    info = cpu_info()
    pages = os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    flags = set(info.get("flags", info.get("Features", "")).split())
    notable = isa.within([name for name in _NOTABLE_ISA if name in flags])
    return {
        "cpu": cpu_model() + isa.held(),
        "cores": available_cores(),
        "isa": notable or [torch.backends.cpu.get_cpu_capability()],
        "memory_gib": round(pages * os.sysconf("SC_PAGE_SIZE") / 2**30) if pages else None,
        "system": f"{platform.system()} {platform.machine()}",
    }


def usual_threads() -> int:
    """What runners get if nobody says: as many as torch takes by itself, on cores that this process may use."""
    return min(torch.get_num_threads(), available_cores())


def slug(name: str) -> str:
    """A processor's name as part of a file's: intel-xeon-processor."""
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((r|tm)\)", "", name.lower())).strip("-")


def describe_device(device: torch.device) -> str:
    return "cpu" if device.type == "cpu" else torch.cuda.get_device_name(device)


def versions() -> dict[str, str]:
    """Package -> version, of what is installed; and Python's."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    if "hrnet_fast" not in found:
        import hrnet_fast

        found["hrnet_fast"] = hrnet_fast.__version__
    if torch.version.cuda and torch.cuda.is_available():
        found["cuda"] = torch.version.cuda
    return found


def commit() -> str:
    """Short hash of the checkout, "+dirty" if tracked files differ from it, but for results and the page that shows
    them; "unknown" outside a git checkout."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
        return done.stdout.strip()

    try:
        sources = (".", ":!benchmarks/results", ":!docs", ":!*.md")
        dirty = "+dirty" if git("status", "--porcelain", "--untracked-files=no", "--", *sources) else ""
        return git("rev-parse", "--short=10", "HEAD") + dirty
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def load_of_others(seconds: float = 1.0) -> float | None:
    """Cores that other programs keep busy over these seconds; None where the system does not say.

    Elsewhere than on Linux it is the load average of the last minute, which holds what this process itself did in it.
    """
    other = OtherWork()
    time.sleep(seconds)
    cores = other.cores()
    if cores is None and hasattr(os, "getloadavg"):
        with suppress(OSError):
            cores = os.getloadavg()[0]
    return None if cores is None else round(cores, 2)


class OtherWork:
    """How many of the cores that this process may use were busy with other programs since this was made (Linux)."""

    def __init__(self) -> None:
        self._busy, self._own, self._wall = self._read()

    def cores(self) -> float | None:
        """Mean number of busy cores; None where the system does not say."""
        busy, own, wall = self._read()
        if busy is None or self._busy is None or wall == self._wall:
            return None
        return max(0.0, (busy - self._busy) - (own - self._own)) / (wall - self._wall)

    @staticmethod
    def _read() -> tuple[float | None, float, float]:
        """Seconds: of our cores busy with anything, of this process and its finished children, and on the wall."""
        times = os.times()
        try:
            lines = Path("/proc/stat").read_text().splitlines()
            ours = {f"cpu{core}" for core in os.sched_getaffinity(0)}
        except (OSError, AttributeError):
            return None, sum(times[:4]), times.elapsed
        ticks = [list(map(int, line.split()[1:9])) for line in lines if line.split()[0] in ours]
        idle = sum(core[3] + core[4] for core in ticks)  # idle and waiting for a disk (proc(5))
        return (sum(map(sum, ticks)) - idle) / os.sysconf("SC_CLK_TCK"), sum(times[:4]), times.elapsed
