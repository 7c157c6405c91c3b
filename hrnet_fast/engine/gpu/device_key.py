"""What a measurement belongs to: a GPU, the compilers, and the kernels' sources."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import ClassVar

import torch

from hrnet_fast import kernels

from ..tuning.key import MachineKey


@dataclass(frozen=True)
class DeviceKey(MachineKey):
    """gpu: its name, e.g. "NVIDIA H200". capability: e.g. "9.0". kernels: digest of the Triton kernels' sources;
    entries of kind cuda_tiles name their kernel themselves."""

    kinds: ClassVar[tuple[str, ...]] = ("tiles", "cuda_tiles", "executors")

    gpu: str
    capability: str
    multiprocessors: int
    torch: str
    triton: str
    kernels: str

    def name_parts(self) -> tuple[str, ...]:
        return (self.gpu, f"sm{self.capability}", f"{self.multiprocessors}sm", f"torch{self.torch}",
                f"triton{self.triton}", self.kernels[:12])  # fmt: skip


def device_key(device: torch.device | int | None = None) -> DeviceKey:
    """The key of a CUDA device; None for the current one."""
    properties = torch.cuda.get_device_properties(device)
    return DeviceKey(
        properties.name,
        f"{properties.major}.{properties.minor}",
        properties.multi_processor_count,
        torch.__version__,
        _version("triton"),
        kernels_digest(),
    )


@cache
def kernels_digest() -> str:
    """The digest of what a launch consists of: Triton kernels, their pages of the same name, the maps' layout."""
    folder = Path(kernels.__file__).parent
    compiled = sorted((folder / "triton").rglob("*.py"))
    pages = {folder / file.name for file in compiled} - {folder / "__init__.py"}
    return source_digest(folder, [*compiled, *sorted({*filter(Path.exists, pages), folder / "bordered.py"})])


def source_digest(folder: Path, files: Sequence[Path]) -> str:
    """SHA-256 of the files' names and lines in hexadecimal; blank lines, comment lines and line ends do not count."""
    digest = hashlib.sha256()
    for file in files:
        lines = (line.rstrip() for line in file.read_text(encoding="utf-8").splitlines())
        code = [line for line in lines if line and not line.lstrip().startswith("#")]
        digest.update("\n".join([file.relative_to(folder).as_posix(), *code, ""]).encode())
    return digest.hexdigest()


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "none"
