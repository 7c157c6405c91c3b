"""The native CPU kernels under AddressSanitizer and UndefinedBehaviorSanitizer, with no torch in the process.

csrc/standalone/check_items.cpp plays random items on memory of their exact size and compares them with a reference in
double precision; csrc/standalone/random_item.h says how. check_tiles.cpp does so for bfloat16 on emulated tiles of AMX.
check_sharing.cpp has kernels that only count, for how threads share their work.
"""

import os
import re
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

CSRC = Path(__file__).parents[2] / "csrc"
COMPILER = shlex.split(os.environ.get("CXX", "c++"))
SANITIZED = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
# -O0 compiles in a third of -O1's time, and computes in twice of it; -g1: for reports
FLAGS = ["-std=c++17", "-O0", "-g1", "-fopenmp", "-DHRNET_FAST_WITH_TESTS", *SANITIZED, f"-I{CSRC}"]
NEEDS_TORCH = re.compile(r'#include ([<"](ATen|torch|pybind11)/|"host\.h")')
ITEMS = 150  # for each instruction set
CHECKERS = {
    "check_items": ("random_item", "check_items"), "check_tiles": ("check_tiles",), "check_sharing": ("check_sharing",),
}  # fmt: skip


def sources() -> list[Path]:
    """What plays plans on the CPU, without its Python class."""
    cpu = [path for path in (CSRC / "cpu").glob("*.cpp") if not NEEDS_TORCH.search(path.read_text())]
    return [*sorted((CSRC / "cpu/isa").glob("items_*.cpp")), *cpu]


def run(*command: str | Path, **options) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, check=False, errors="replace", **options)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> Path:
    """The folder of the checkers, compiled with both sanitizers."""
    folder = tmp_path_factory.mktemp("sanitized")
    probe = folder / "probe"
    try:
        done = run(*COMPILER, *FLAGS, "-x", "c++", "-", "-o", probe, input="int main() { return 0; }")
    except FileNotFoundError:
        pytest.skip(f"no C++ compiler was found (looked for `{COMPILER[0]}`)")
    if done.returncode or (done := run(probe)).returncode:
        pytest.skip(f"this compiler's sanitizers cannot be used: {(done.stderr.splitlines() or ['no message'])[0]}")

    def compile_one(source: Path) -> Path:
        target = folder / f"{source.stem}.o"
        done = run(*COMPILER, *FLAGS, "-c", source, "-o", target)
        assert done.returncode == 0, done.stderr
        return target

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        names = [[f"{name}.cpp" for name in parts] for parts in CHECKERS.values()]
        checkers = list(pool.map(lambda parts: [compile_one(CSRC / "standalone" / part) for part in parts], names))
        objects = list(pool.map(compile_one, sources()))
    for program, own in zip(CHECKERS, checkers, strict=True):
        done = run(*COMPILER, *FLAGS, *own, *objects, "-o", folder / program)
        assert done.returncode == 0, done.stderr
    return folder


def test_random_items_are_right_and_touch_nothing_else(compiled):
    all_of_the_cpu = os.environ | {"HRNET_FAST_CPU_ISA": ""}
    done = run(compiled / "check_items", str(ITEMS), timeout=300, env=all_of_the_cpu)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.findall(r"^([\w-]+): (\d+) items are right$", done.stdout, re.MULTILINE)
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        flags = []
    needs = {
        "avx512": {"avx512vl"}, "avx2": {"avx2"}, "portable": set(), "avx512-bf16": {"avx512vl", "avx512_bf16"},
        "avx512-bf16-emulated": {"avx512vl"},
    }  # fmt: skip
    here = [isa for isa in needs if needs[isa].issubset(flags)]
    assert found == [(isa, str(ITEMS)) for isa in here]


def test_random_items_on_emulated_tiles_are_right_and_touch_nothing_else(compiled):
    items = ITEMS // 3  # the emulation takes its time
    done = run(compiled / "check_tiles", str(items), timeout=300)
    if done.returncode == 2:
        pytest.skip(done.stdout.strip())
    assert (done.returncode, done.stdout) == (0, f"{items} items are right\n"), done.stdout + done.stderr


def test_every_unit_is_played_once_and_a_slow_thread_is_helped(compiled):
    done = run(compiled / "check_sharing", timeout=300)
    assert done.returncode == 0 and done.stdout.startswith("once each"), done.stdout + done.stderr
