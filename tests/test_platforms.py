"""macOS and Windows, as far as they can be played here: what setup.py does there, and what a process lacks there."""

import json
import os
import platform
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from hrnet_fast import processor

ROOT = Path(__file__).resolve().parents[1]
WINDOWS = "the kernels are written for GCC and Clang and not built on Windows: torch computes; WSL counts as Linux"


@pytest.fixture
def setup_py(monkeypatch):
    """The names of setup.py on another system."""

    def names(system: str, machine: str) -> dict:
        monkeypatch.setattr(pytest.importorskip("setuptools"), "setup", lambda **options: None)
        monkeypatch.setenv("ARCHFLAGS", "")
        monkeypatch.delenv("ARCHFLAGS")  # and again at the end
        monkeypatch.setattr(sys, "platform", system)
        monkeypatch.setattr(platform, "machine", lambda: machine)
        return runpy.run_path(str(ROOT / "setup.py"))

    return names


def test_macos_s_compiler_gets_its_own_flags(setup_py):
    names = setup_py("darwin", "arm64")
    flags = names["FLAGS"]["cxx"]
    assert flags[flags.index("-fopenmp") - 1] == "-Xclang"  # which refuses it alone
    assert not {*names["ARM_FLAGS"], "-Wno-maybe-uninitialized"} & {*flags}  # GCC's
    extension = names["make_extension"]("cpu", with_tests=False)
    assert extension.extra_link_args == ["-undefined", "dynamic_lookup"]
    assert extension.extra_compile_args["cxx"] == flags


def test_macos_s_extension_is_for_one_processor(setup_py):
    setup_py("darwin", "arm64")
    _osx_support = pytest.importorskip("_osx_support")
    variables = {"CFLAGS": "-arch arm64 -arch x86_64 -O2"}  # of python.org's Python
    _osx_support._override_all_archs(variables)
    assert variables["CFLAGS"].split() == ["-O2", "-arch", "arm64"]


def test_macos_without_its_command_line_tools_is_told_of_them(setup_py, monkeypatch):
    refusal = setup_py("darwin", "arm64")["refusal"]
    monkeypatch.setitem(refusal.__globals__, "output_of", lambda *command: "")
    assert refusal("cpu") == "Apple's command line tools are missing; run xcode-select --install"


def test_linux_s_flags_are_as_ever(setup_py):
    plain = ["-O3", "-g0", "-fopenmp", "-fvisibility=hidden", "-Wno-maybe-uninitialized"]
    for machine, more in (("x86_64", []), ("aarch64", ["-fno-schedule-insns"])):
        names = setup_py("linux", machine)
        assert (names["FLAGS"]["cxx"], names["LINK_FLAGS"]) == ([*plain, *more], ["-fopenmp"])
    assert "ARCHFLAGS" not in os.environ


def test_windows_builds_nothing_and_says_so(setup_py):
    refusal = setup_py("win32", "AMD64")["refusal"]
    assert (refusal("cuda"), refusal("cpu"), refusal("none")) == (WINDOWS, WINDOWS, None)


def test_a_build_on_windows_succeeds_and_keeps_the_sentence(tmp_path):
    code = f"""
import runpy, sys
from setuptools.command.build_ext import build_ext
sys.platform = "win32"
sys.argv = ["setup.py", "-q", "build_ext", r"--build-lib={tmp_path}/lib", r"--build-temp={tmp_path}/temp"]
runpy.run_path("setup.py", run_name="__main__")
"""
    environment = {**os.environ, "HRNET_FAST_BUILD": "auto"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "lib/hrnet_fast/kernels/_build.json").read_text())
    assert (record["kind"], record["reasons"]) == ("none", {"cuda": WINDOWS, "cpu": WINDOWS})


def test_a_mac_s_processor_has_a_name(monkeypatch):
    def told(command, **options):
        assert command == ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.CompletedProcess(command, 0, "Apple M2\n")

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(processor.subprocess, "run", told)
    assert processor._apple_model() == "Apple M2"
    monkeypatch.setattr(processor.subprocess, "run", lambda *a, **k: (_ for _ in ()).throw(FileNotFoundError))
    assert processor._apple_model() == ""


# Everything is imported and a network runs without Triton and what only Unix or Linux has in Python's own library.
WITHOUT_UNIX = """
import importlib, mmap, os, pkgutil, sys
import torch, torch.utils.cpp_extension
for name in ("fcntl", "grp", "pwd", "resource", "termios", "triton"):
    sys.modules[name] = None
for name in ("fork", "getuid", "killpg", "register_at_fork", "sched_getaffinity", "sysconf", "uname"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("MADV_HUGEPAGE", "MAP_ANONYMOUS", "MAP_PRIVATE", "MAP_SHARED"):
    if hasattr(mmap, name):
        delattr(mmap, name)
sys.modules["hrnet_fast.kernels._C"] = None
import hrnet_fast
found = [module.name for module in pkgutil.walk_packages(hrnet_fast.__path__, "hrnet_fast.")]
optional = set()
for name in found:
    if not name.endswith(("__main__", "._C")):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            optional.add(error.name)
torch.set_num_threads(1)
model = hrnet_fast.create_model("hrnet_w18_small.pose_coco_256x192").eval()
x = torch.randn(1, 3, 64, 64)
assert hrnet_fast.verify(model, hrnet_fast.optimize(model, example=x), x).passed
from hrnet_fast.engine.tuning.file_lock import file_lock
with file_lock("here"):
    pass
print(len(found), *sorted(optional))
"""


def test_everything_is_imported_and_runs_without_what_windows_lacks(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_UNIX], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    count, *absent = done.stdout.split()
    assert int(count) > 100
    assert not {"fcntl", "grp", "pwd", "resource", "termios"} & {*absent}
