"""The processor at hand, as the operating system tells of it."""

import os
import platform
import subprocess
import sys


def cpu_model() -> str:
    """The processor's name as the operating system gives it, or the architecture."""
    try:
        with open("/proc/cpuinfo") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return _apple_model() or platform.processor() or platform.machine()


def _apple_model() -> str:
    """As "Apple M2"; empty elsewhere."""
    if sys.platform != "darwin":
        return ""
    try:
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
