"""Compilers for 64-bit Arm: GCC for Linux, and Clang for macOS, as Zig brings it with macOS's headers and names."""

import platform
import runpy
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HERE = sys.platform, platform.machine()
PREFIX = "" if HERE == ("linux", "aarch64") else "aarch64-linux-gnu-"
# What the sources use of OpenMP, whose header neither Zig nor Apple's Clang has; torch for macOS brings it.
OMP_H = 'extern "C" int omp_get_thread_num(), omp_get_num_threads(), omp_in_parallel(), omp_get_num_procs();\n'


def build_names() -> dict:
    """The names of setup.py, which builds nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pytest.importorskip("setuptools"), "setup", lambda **options: None)
        return runpy.run_path(str(ROOT / "setup.py"))


def compiler_of(kind: str, folder: Path) -> list[str]:
    """The command of "gcc" for Linux or "clang" for macOS, with setup.py's flags; skips the test where it is not here.
    folder: a place for headers."""
    built = build_names()
    common = ["-std=c++17", "-fPIC", f"-I{ROOT / 'csrc'}"]
    if kind == "gcc":
        if shutil.which(f"{PREFIX}g++") is None:
            pytest.skip(f"{PREFIX}g++ is not here")
        return [f"{PREFIX}g++", *built["GCC_FLAGS"], *built["ARM_FLAGS"], *common]
    zig = [shutil.which("zig")] if shutil.which("zig") else [sys.executable, "-m", "ziglang"]
    if HERE == ("darwin", "arm64"):
        clang = ["c++"]
    elif shutil.which("zig") or find_spec("ziglang"):
        clang = [*zig, "c++", "-target", "aarch64-macos", "-mcpu=apple_m1"]  # Apple's Clang compiles for that by itself
    else:
        pytest.skip("no Clang for macOS is here (pip install ziglang)")
    (folder / "omp.h").write_text(OMP_H)
    return [*clang, *built["MAC_FLAGS"], *common, f"-isystem{folder}"]


def run(command: list) -> str:
    """Runs a compiler, which must succeed; returns what it says on the way."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr
