"""The processor at hand, as the operating system tells of it."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


def cpu_model() -> str:
    """The processor's name as the operating system gives it, or the architecture.

    A virtual machine may say no more than "AMD EPYC": then with the generation of its cores, "AMD EPYC, Zen 5".
    """
    info = cpu_info()
    name = info.get("model name") or _apple_model() or platform.processor() or platform.machine()
    generation = "" if any(map(str.isdigit, name)) else _zen(info)
    return f"{name}, {generation}" if generation else name


def cpu_info() -> dict[str, str]:
    """The first processor's lines of /proc/cpuinfo, empty where there is none."""
    try:
        first = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _zen(info: Mapping[str, str]) -> str:
    """The generation of AMD's cores since the third, by their family; empty for others."""
    if info.get("vendor_id") != "AuthenticAMD":
        return ""
    with_avx512 = "avx512f" in info.get("flags", "").split()
    return {"25": "Zen 4" if with_avx512 else "Zen 3", "26": "Zen 5"}.get(info.get("cpu family", ""), "")


def _apple_model() -> str:
    """As "Apple M2"; empty elsewhere."""
    if sys.platform != "darwin":
        return ""
    try:
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def third_level_cache(folder: Path = Path("/sys/devices/system/cpu/cpu0/cache")) -> int | None:
    """Bytes of the cache that the first core shares with others, as Linux tells; None where it does not."""
    try:
        for level in folder.glob("index*/level"):
            if level.read_text().strip() == "3":
                return 1024 * int(level.with_name("size").read_text().strip().removesuffix("K"))
    except (OSError, ValueError):
        pass
    return None


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
