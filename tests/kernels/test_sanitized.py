"""The native CPU kernels under AddressSanitizer and UndefinedBehaviorSanitizer, with no torch in the process.

csrc/standalone/check_items.cpp plays random items on memory of their exact size and compares them with a reference in
double precision; csrc/standalone/random_item.h says how.
"""

import os
import re
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hrnet_fast.env import available_cores

CSRC = Path(__file__).parents[2] / "csrc"
COMPILER = shlex.split(os.environ.get("CXX", "c++"))
FLAGS = [
    "-std=c++17",
    "-O1",
    "-g",
    "-fopenmp",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    f"-I{CSRC}",
]
NEEDS_TORCH = re.compile(r'#include ([<"](ATen|torch|pybind11)/|"host\.h")')
ITEMS = 150  # for each instruction set


def sources() -> list[Path]:
    """The programs of the CPU without their Python class, and what checks them."""
    cpu = [path for path in (CSRC / "cpu").glob("*.cpp") if not NEEDS_TORCH.search(path.read_text())]
    checker = [CSRC / "standalone" / name for name in ("random_item.cpp", "check_items.cpp")]
    return [*sorted((CSRC / "cpu/isa").glob("program_*.cpp")), *checker, *cpu]


def run(*command: str | Path, **options) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, check=False, errors="replace", **options)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> Path:
    """The checker, compiled with both sanitizers."""
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

    with ThreadPoolExecutor(available_cores()) as pool:
        objects = list(pool.map(compile_one, sources()))
    program = folder / "check_items"
    done = run(*COMPILER, *FLAGS, *objects, "-o", program)
    assert done.returncode == 0, done.stderr
    return program


def test_random_items_are_right_and_touch_nothing_else(compiled):
    done = run(compiled, str(ITEMS), timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.findall(r"^(\w+): (\d+) items are right$", done.stdout, re.MULTILINE)
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        flags = []
    here = [isa for isa, flag in (("avx512", "avx512vl"), ("avx2", "avx2")) if flag in flags]
    assert found == [(isa, str(ITEMS)) for isa in here]
