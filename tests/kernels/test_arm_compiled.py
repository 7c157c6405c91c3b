"""The loops that multiply, as compilers for 64-bit Arm make them, GCC and Clang; needs such a compiler."""

import re
from collections import Counter

import pytest

from tests.kernels.arm_compilers import ROOT, compiler_of, run

INSTRUCTION = re.compile(r"\t([a-z][\w.]*)\t?(.*)")
BRANCH = re.compile(r"b|b\.?[a-z]{2}|bl|br|blr|cbn?z|tbn?z|ret")
SPILL = re.compile(r"(?:ldr|str|ldp|stp|ldur|stur)\tq\d+,.*\[sp\b")
SPILLS = {"gcc": 2, "clang": 0}  # of 48 multiply-adds
WORST = {"gcc": 2.2, "clang": 1.8}  # instructions for a multiply-add


@pytest.fixture(scope="module", params=["gcc", "clang"])
def compiler(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def loops(compiler, tmp_path_factory) -> list[list[str]]:
    """The straight runs of instructions of the items' kernels, from a label or a branch to a branch."""
    folder = tmp_path_factory.mktemp("arm")
    run([*compiler_of(compiler, folder), "-S", ROOT / "csrc/cpu/isa/items_portable.cpp", "-o", folder / "items.s"])
    found: list[list[str]] = [[]]
    for line in (folder / "items.s").read_text().splitlines():
        instruction = INSTRUCTION.match(line)
        if instruction:
            found[-1].append(line.strip())
        if re.match(r"[\w.$]+:", line):
            found[-1] = []
        elif instruction and BRANCH.fullmatch(instruction[1]):
            found.append([])
    return found


def of_tiles(loops, pixels: int, vectors: int) -> list[Counter]:
    """Instructions by name, and those that spill, of the loops for so many pixels by so many vectors of channels: two
    steps of each, which fetch weights ahead."""
    found = []
    for loop in loops:
        counts = Counter(line.split("\t")[0].split(".")[0] for line in loop)
        if counts["fmla"] == 2 * pixels * vectors and counts["prfm"] == 2 * vectors:
            counts["spill"] = sum(bool(SPILL.match(line)) for line in loop)
            found.append(counts)
    return found


@pytest.mark.parametrize(("pixels", "vectors"), [(12, 2), (10, 2), (8, 3)], ids=str)
def test_a_tile_stays_in_registers(compiler, loops, pixels, vectors):
    found = of_tiles(loops, pixels, vectors)
    assert len(found) >= 2  # of direct convolutions and of Winograd's
    for counts in found:
        stored = sum(counts[name] for name in ("str", "stp", "stur"))
        assert max(counts["spill"], stored) <= SPILLS[compiler], counts
        assert counts.total() - counts["spill"] <= WORST[compiler] * counts["fmla"], counts
