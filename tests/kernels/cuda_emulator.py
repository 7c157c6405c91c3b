"""The CUDA level kernel played on the CPU: csrc/emulator compiled into a library, and launches described for it."""

import ctypes
import os
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from hrnet_fast.kernels.cuda_level import Level
from tests.kept import kept, locked

CSRC = Path(__file__).parents[2] / "csrc"
COMPILER = shlex.split(os.environ.get("CXX", "c++"))
ITEMSIZE = {torch.float16: 2, torch.bfloat16: -2, torch.float32: 4}  # bfloat16 is told from float16 by its sign


@dataclass(frozen=True)
class Report:
    """Of a play. matrices, turns: that ldmatrix loaded, and turns that their rows took, more where banks conflict.
    places: where a fault can be planted."""

    matrices: int
    turns: int
    places: list[str]


def compile_with(flags: Sequence[str], source: Path, target: Path) -> str:
    """Compiles a source that includes the emulator; skips the test where that cannot be."""
    if os.uname().machine != "x86_64":
        pytest.skip("the emulator switches stacks in x86-64 assembly")
    command = [*COMPILER, "-std=c++17", "-O2", f"-I{CSRC}", *flags, source, "-o", target]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip(f"no C++ compiler was found (looked for `{COMPILER[0]}`)")
    assert done.returncode == 0, done.stderr
    return str(target)


@cache
def library() -> ctypes.CDLL:
    """The emulator, compiled once for these sources; other processes that test wait for the one that compiles."""
    folder = kept("emulator", COMPILER, *(path.read_bytes() for path in sorted(CSRC.rglob("*.[ch]*"))))
    target = folder / "emulate_level.so"
    with locked(folder):
        if not target.exists():
            shared = ["-fPIC", "-shared", "-fvisibility=hidden"]
            part = compile_with(shared, CSRC / "standalone/emulate_level.cpp", target.with_suffix(".part"))
            os.replace(part, target)
        made = ctypes.CDLL(str(target))
    made.hrnet_fast_level_shared.restype = ctypes.c_int64
    return made


def emulate(
    levels: Sequence[Level], dtype: torch.dtype, inputs: Sequence[Tensor], outputs: Sequence[Tensor], *,
    seed: int = 0, overlap: bool = True, fault: str = "",
) -> Report:  # fmt: skip
    """Plays the levels one after another.

    inputs, outputs: all tensors that the levels read, and that they write (and may read). overlap: a launch may begin
    before the one before it ends. fault: one of the places.
    Raises RuntimeError with what went wrong: a race, an access out of bounds, a deadlock, a bad description ...
    """
    memory = [*inputs, *outputs]
    count = len(memory)
    message = ctypes.create_string_buffer(1 << 14)
    failed = library().hrnet_fast_emulate(
        (Level * len(levels))(*levels), len(levels), ITEMSIZE[dtype],
        (ctypes.c_void_p * count)(*(t.data_ptr() for t in memory)),
        (ctypes.c_int64 * count)(*(t.nbytes for t in memory)),
        (ctypes.c_uint8 * count)(*(i >= len(inputs) for i in range(count))), count,
        int(overlap), ctypes.c_uint32(seed), fault.encode(), message, len(message),
    )  # fmt: skip
    text = message.value.decode(errors="replace")
    if failed:
        raise RuntimeError(text)
    matrices, turns, *places = text.splitlines()
    return Report(int(matrices), int(turns), places)


def shared_bytes(level: Level, dtype: torch.dtype) -> int:
    """Shared memory of a CTA of the level's launch."""
    return library().hrnet_fast_level_shared(ctypes.byref(level), dtype.itemsize)


def refusal(level: Level, dtype: torch.dtype) -> str:
    """Why the kernel cannot compute the level, in the launcher's words; empty if it can."""
    message = ctypes.create_string_buffer(1 << 10)
    library().hrnet_fast_level_refusal(ctypes.byref(level), dtype.itemsize, message, len(message))
    return message.value.decode()
