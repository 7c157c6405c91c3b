"""HRNET_FAST_CPU_ISA for everyone: where it holds our kernels to an instruction set, it holds the rivals' libraries.

So a CPU with AVX-512 can say what one without it would choose. Its caches, clocks and units stay its own.
"""

from __future__ import annotations

import os

ASKED = os.environ.get("HRNET_FAST_CPU_ISA", "")

# ONEDNN_MAX_CPU_ISA (oneDNN's guide, "CPU dispatcher control") holds the oneDNN of torch and of OpenVINO;
# ATEN_CPU_CAPABILITY torch's own kernels (ATen/native/DispatchStub.cpp) and torch.compile's (_inductor/cpu_vec_isa.py)
_LIBRARIES = {
    "avx512": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_FP16", "ATEN_CPU_CAPABILITY": "avx512"},
    "avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
    "portable": {"ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default"},
}
_WIDER = {"avx512": ("amx",), "avx2": ("amx", "avx512"), "portable": ("amx", "avx512", "avx2")}


def hold_libraries() -> None:
    """To be called before any of them computes: they read the environment once."""
    os.environ.update(_LIBRARIES.get(ASKED, {}))


def held() -> str:
    """' held to avx2', to be added to the CPU's name; empty where nothing is asked for."""
    return f" held to {ASKED}" if ASKED else ""


def command(words: str) -> str:
    """What was asked, as one types it again."""
    return f"HRNET_FAST_CPU_ISA={ASKED} {words}" if ASKED else words


def within(names: list[str]) -> list[str]:
    """Those of /proc/cpuinfo's instruction sets that are still used."""
    return [name for name in names if not name.startswith(_WIDER.get(ASKED, ()))]
