"""The loops that multiply, as a compiler for 64-bit Arm makes them; needs such a compiler, or a CPU of that kind."""

import platform
import re
import runpy
import shutil
import subprocess
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PREFIX = "" if platform.machine() in ("aarch64", "arm64") else "aarch64-linux-gnu-"
SPILL = re.compile(r"^(?:ldr|str|ldp|stp|ldur|stur)\tq\d+,.*\[sp\b")


@pytest.fixture(scope="module")
def loops(tmp_path_factory) -> list[list[str]]:
    """The straight runs of instructions, between two branches, of the items' kernels."""
    compiler, objdump = shutil.which(f"{PREFIX}g++"), shutil.which(f"{PREFIX}objdump")
    if compiler is None or objdump is None:
        pytest.skip(f"{PREFIX}g++ or {PREFIX}objdump is not here")
    patch = pytest.MonkeyPatch()
    patch.setattr(pytest.importorskip("setuptools"), "setup", lambda **options: None)
    built = runpy.run_path(str(ROOT / "setup.py"))
    patch.undo()
    flags = list(dict.fromkeys([*built["FLAGS"]["cxx"], *built["ARM_FLAGS"]]))
    target = tmp_path_factory.mktemp("arm") / "program.o"
    source = ROOT / "csrc/cpu/isa/program_portable.cpp"
    command = [compiler, *flags, "-std=c++17", "-fPIC", f"-I{ROOT / 'csrc'}", "-c", source, "-o", target]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    listing = subprocess.run(
        [objdump, "-d", "--no-show-raw-insn", target], capture_output=True, text=True, check=True
    ).stdout
    lines = [line.split("\t", 1)[1] for line in listing.splitlines() if re.match(r"\s+[0-9a-f]+:\t", line)]
    ends = [-1, *(i for i, line in enumerate(lines) if re.match(r"(?:b|b\.\w+|bl|br|blr|cbn?z|tbn?z|ret)\b", line))]
    return [lines[begin + 1 : end + 1] for begin, end in pairwise(ends)]


def of_tiles(loops, pixels: int, vectors: int) -> list[Counter]:
    """Instructions by name, and those that spill, of the loops for so many pixels by so many vectors of channels: two
    steps of each, which load what they multiply and few pointers besides."""
    found = []
    for loop in loops:
        counts = Counter(line.split("\t")[0] for line in loop)
        counts["spill"] = sum(bool(SPILL.match(line)) for line in loop)
        loads = sum(count for name, count in counts.items() if name.startswith("ld")) - counts["spill"]
        if counts["fmla"] == 2 * pixels * vectors and loads <= 2 * (pixels + vectors) + 4 and counts["prfm"]:
            found.append(counts)
    return found


@pytest.mark.parametrize(("pixels", "vectors"), [(12, 2), (10, 2), (8, 3)], ids=str)
def test_a_tile_stays_in_registers(loops, pixels, vectors):
    found = of_tiles(loops, pixels, vectors)
    assert len(found) >= 3  # of direct convolutions and of Winograd's, some of which share one
    for counts in found:
        assert counts["spill"] <= 6, counts
        assert counts.total() <= 2.3 * counts["fmla"], counts
