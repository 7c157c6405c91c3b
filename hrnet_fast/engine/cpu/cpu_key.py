"""What a measurement on a CPU belongs to: the processor, the threads that play, and the compiled kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hrnet_fast import __version__, kernels

from ...processor import available_cores, cpu_model
from ..tuning.key import MachineKey


@dataclass(frozen=True)
class CpuKey(MachineKey):
    """cpu: the processor's name. isa: the kernels' instruction set. package: the version of hrnet_fast. extension: the
    SHA-256 of the file with the compiled kernels, in hexadecimal."""

    kinds: ClassVar[tuple[str, ...]] = ("kernels",)

    cpu: str
    isa: str
    threads: int
    package: str
    extension: str

    def name_parts(self) -> tuple[str, ...]:
        return self.cpu, self.isa, f"{self.threads}threads", f"hrnet_fast{self.package}", self.extension[:12]


def cpu_key(isa: str, threads: int) -> CpuKey:
    """The key of this CPU. threads: as asked for; no more than the cores at hand ever play."""
    return CpuKey(cpu_model(), isa, min(threads, available_cores()), __version__, kernels.extension().digest)
