"""Level kernels compiled for a GPU that need not be there, and what the compiler made of them."""

import hashlib
import json
import re
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from hrnet_fast.kernels.level import Launch
from hrnet_fast.kernels.triton import kernel
from tests.kept import kept, write

TYPES = {torch.float16: "*fp16", torch.bfloat16: "*bf16", torch.float32: "*fp32", torch.int32: "*i32"}
CUOBJDUMP = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
INSTRUCTION = r"^\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?\w+\s+)?([A-Z][\w.]*)"
SHARED_MEMORY = {80: 163 * 1024, 86: 99 * 1024, 89: 99 * 1024, 90: 227 * 1024}  # a program's at most, by architecture


@dataclass(frozen=True)
class Compiled:
    """What a launch costs: registers a thread, bytes of stack and spilled memory, bytes of shared memory a program; and
    its machine code."""

    registers: int
    stack: int
    local: int
    shared: int
    cubin: bytes = field(repr=False)

    @cached_property
    def instructions(self) -> Counter:
        """How often each one stands in the machine code; kept, as Triton keeps what it compiled: the disassembler takes
        half as long as the compiler."""
        folder = kept("instructions", INSTRUCTION, CUOBJDUMP.stat().st_mtime_ns)
        path = folder / f"{hashlib.sha256(self.cubin).hexdigest()}.json"
        if not path.exists():
            code = _cuobjdump("-sass", self.cubin)
            found = re.findall(INSTRUCTION, code, re.MULTILINE)
            write(path, json.dumps(Counter(found)))
        return Counter(json.loads(path.read_text()))

    def count(self, pattern: str) -> int:
        return sum(count for name, count in self.instructions.items() if re.match(pattern, name))


def compile_for(launch: Launch, arch: int) -> Compiled:
    """The launch's kernel for sm_`arch`, by Triton's own compiler and disassembler."""
    source = ASTSource(kernel("level", False), *described(launch))
    made = triton.compile(source, target=GPUTarget("cuda", arch, 32), options=launch.options)
    cubin = made.asm["cubin"]
    usage = re.search(r"REG:(\d+) STACK:(\d+) SHARED:\d+ LOCAL:(\d+)", _cuobjdump("-res-usage", cubin))
    return Compiled(*map(int, usage.groups()), made.metadata.shared, cubin)


def described(launch: Launch) -> tuple[dict, dict, dict]:
    """Signature, constants and attributes of the arguments, as Triton finds them when it launches: a number 1 is a
    constant, and multiples of 16 are marked."""
    signature, constants, attributes = {}, {}, {}

    def describe(value, path):
        if isinstance(value, tuple):
            return tuple(describe(part, (*path, index)) for index, part in enumerate(value))
        if isinstance(value, float):
            return "fp32"
        if isinstance(value, int) and value == 1:
            constants[path] = 1
            return "constexpr"
        if isinstance(value, torch.Tensor) or value % 16 == 0:
            attributes[path] = [["tt.divisibility", 16]]
        return TYPES[value.dtype] if isinstance(value, torch.Tensor) else "i32"

    for index, name in enumerate(kernel("level", False).arg_names):
        if index < len(launch.arguments):
            signature[name] = describe(launch.arguments[index], (index,))
        else:
            signature[name] = "constexpr"
            constants[(index,)] = launch.constants[name] if name != "WIDEN" else False  # the interpreter's alone
    return signature, constants, attributes


def _cuobjdump(what: str, cubin: bytes) -> str:
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        return subprocess.run([CUOBJDUMP, what, file.name], capture_output=True, text=True, check=True).stdout
