"""Compiles the kernels of many launches at once: Triton's compiler leaves Python's lock while it works."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import torch

from hrnet_fast.kernels.level import Launch

from ...processor import available_cores


def compile_all(launches: Iterable[Launch], device: torch.device) -> None:
    """Compiles each distinct kernel once, on all the threads this process may use; nothing is launched."""
    distinct = list({launch.specialisation: launch for launch in launches}.values())
    if device.type != "cuda" or len(distinct) < 2:
        return

    def compile_one(launch: Launch) -> None:
        with torch.cuda.device(device):
            launch.compile()

    with ThreadPoolExecutor(min(len(distinct), available_cores())) as pool:
        list(pool.map(compile_one, distinct))
