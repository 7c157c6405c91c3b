"""CUDA sources compiled for a GPU that need not be there, and what ptxas says that they cost."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.cpp_extension import include_paths

CSRC = Path(__file__).parents[2] / "csrc"
FLAGS = ["-O3", "-std=c++20", "--expt-relaxed-constexpr"]  # as torch's BuildExtension and setup.py give them
REPORT = re.compile(
    r"Compiling entry function '(?P<name>\w+)' for '\w+'.*?"
    r"(?P<stack>\d+) bytes stack frame, (?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads.*?"
    r"Used (?P<registers>\d+) registers(?P<rest>[^\n]*)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Usage:
    """What one kernel costs a thread: registers, and bytes of local memory, spilled to or not; and whether a block has
    shared memory of a size known when it was compiled."""

    name: str
    registers: int
    stack: int
    spilled: int
    shared: bool


def find_nvcc() -> str | None:
    """nvcc of CUDA_HOME, of the PATH or of the usual folder."""
    home = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH") or "/usr/local/cuda"
    return shutil.which(f"{home}/bin/nvcc") or shutil.which("nvcc")


def why_not() -> str | None:
    """One sentence on why sources cannot be compiled here, or None."""
    if torch.version.cuda is None:
        return f"torch {torch.__version__} was built without CUDA, and lacks headers"
    return None if find_nvcc() else "there is no nvcc"


def find_cuobjdump() -> str | None:
    """cuobjdump of CUDA_HOME or of the PATH, else the one that Triton brings."""
    home = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH") or "/usr/local/cuda"
    triton = importlib.util.find_spec("triton")
    places = [f"{home}/bin/cuobjdump", "cuobjdump"]
    places += [str(Path(triton.origin).parent / "backends/nvidia/bin/cuobjdump")] if triton else []
    return next(filter(None, map(shutil.which, places)), None)


def cuobjdump_is_older() -> str | None:
    """One sentence if cuobjdump is of a CUDA before torch's, which then reads sm_90a as sm_90; else None."""
    release = re.search(r"release (\d+)", cuobjdump("--version")) if find_cuobjdump() and torch.version.cuda else None
    if release is None or int(release[1]) >= int(torch.version.cuda.split(".")[0]):
        return None
    return f"cuobjdump is of CUDA {release[1]}, and cannot tell what CUDA {torch.version.cuda} has built"


def cuobjdump(*arguments: str | Path) -> str:
    """What it says."""
    command = [find_cuobjdump(), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, errors="replace").stdout


def machine_code(file: Path, *options: str) -> dict[str, str]:
    """Of each kernel, as text. options: cuobjdump's."""
    text = cuobjdump("-sass", *options, file)
    kernels = re.split(r"^\s+Function : (\w+)$", text, flags=re.MULTILINE)[1:]
    return dict(zip(kernels[::2], kernels[1::2]))


def instructions(file: Path, *options: str) -> dict[str, Counter]:
    """How often each instruction stands in the machine code of each kernel. options: cuobjdump's."""
    name = re.compile(r"^\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?\w+\s+)?([A-Z][\w.]*)", re.MULTILINE)
    return {kernel: Counter(name.findall(code)) for kernel, code in machine_code(file, *options).items()}


def usage(source: Path, arch: int | str, folder: Path) -> list[Usage]:
    """The kernels of a .cu file, compiled for sm_`arch`; fails with nvcc's messages if it warns or cannot."""
    includes = [f"-I{CSRC}", *(f"-I{path}" for path in include_paths("cuda"))]
    command = [find_nvcc(), *FLAGS, *includes, f"-arch=sm_{arch}", "-cubin", "-Xptxas", "-v", str(source)]
    done = subprocess.run(
        [*command, "-o", folder / f"{source.stem}.cubin"], capture_output=True, text=True, check=False, errors="replace"
    )
    assert done.returncode == 0 and "warning" not in done.stderr, done.stderr
    assert "serialized" not in done.stderr, done.stderr  # products of warpgroups that wait at once, which is slow
    return [
        Usage(
            found["name"],
            int(found["registers"]),
            int(found["stack"]),
            int(found["stores"]) + int(found["loads"]),
            "smem" in found["rest"],
        )
        for found in REPORT.finditer(done.stderr)
    ]
