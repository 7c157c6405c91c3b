"""Builds hrnet_fast.kernels._C from csrc/, offline, with the torch that is installed (--no-build-isolation).

HRNET_FAST_BUILD says what to build:
    auto  (the default) CUDA if torch and a toolkit have it, else C++ alone, else nothing; the install always succeeds
    cuda  the C++ and the CUDA ops, or an error
    cpu   the C++ ops, or an error
    none  nothing: the ops run on plain torch
In place, which an editable install is too, what only tests run is compiled with it: csrc/testing and the emulated
instruction sets.
What was built, and why no more than that, is kept in _build.json beside the extension.
"""

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
NAME = "hrnet_fast.kernels._C"
VERSION = re.search(r'^__version__ = "(.+)"', (ROOT / "hrnet_fast/__init__.py").read_text(), re.MULTILINE)[1]
ATTEMPTS = {"auto": ("cuda", "cpu", "none"), "cuda": ("cuda",), "cpu": ("cpu",), "none": ("none",)}
DEFAULT_ARCHES = "8.0;8.6;8.9;9.0+PTX"
# sm_90a runs on the same GPUs as sm_90, and it alone has warpgroups; which of the two a driver takes is not documented
SM_90, SM_90A = (f"-gencode=arch=compute_{arch},code=sm_{arch}" for arch in ("90", "90a"))
# GCC 12 warns about its own AVX-512 headers (GCC bug 105593)
GCC_FLAGS = ["-O3", "-g0", "-fopenmp", "-fvisibility=hidden", "-Wno-maybe-uninitialized"]
FLAGS, LINK_FLAGS = {"cxx": GCC_FLAGS, "nvcc": ["-O3"]}, ["-fopenmp"]
# On Arm GCC moves loads so far ahead that accumulators no longer fit into registers; on x86 it does not by itself
ARM_FLAGS = ["-fno-schedule-insns"]
# Apple's Clang has OpenMP without its library. Torch brings that, and omp.h, but it cannot be linked against, since it
# names a folder where torch was built. Its functions stay undefined, as Python's do, until found in the process.
MAC_FLAGS = ["-O3", "-g0", "-Xclang", "-fopenmp", "-fvisibility=hidden"]
MAC_LINK_FLAGS = ["-undefined", "dynamic_lookup"]
if sys.platform == "darwin":
    FLAGS["cxx"], LINK_FLAGS = MAC_FLAGS, MAC_LINK_FLAGS
    # python.org's Python would compile for both processors
    os.environ.setdefault("ARCHFLAGS", f"-arch {platform.machine()}")
elif platform.machine() in ("aarch64", "arm64"):
    FLAGS["cxx"] = [*GCC_FLAGS, *ARM_FLAGS]


def output_of(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, errors="replace").stdout
    except OSError:
        return ""


def find_cuda_home() -> str | None:
    """The folder with bin/nvcc and lib64/libcudart.so; nvcc is asked, since one on the PATH may be a wrapper."""
    named = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH")
    candidates = [named] if named else ["/usr/local/cuda"]
    if not named and shutil.which("nvcc"):
        dry_run = subprocess.run(
            ["nvcc", "--dryrun", "-x", "cu", os.devnull], capture_output=True, text=True, check=False
        )
        candidates[:0] = [os.path.realpath(top) for top in re.findall(r"^#\$ TOP=(.+)$", dry_run.stderr, re.MULTILINE)]
    for home in map(Path, candidates):
        if (home / "bin/nvcc").exists() and any((home / lib / "libcudart.so").exists() for lib in ("lib64", "lib")):
            return str(home)
    return None


def refusal(kind: str) -> str | None:
    """One sentence on why `kind` cannot be built here, or None if it can be tried."""
    if kind == "none":
        return None
    if sys.platform == "win32":
        return "the kernels are written for GCC and Clang and not built on Windows: torch computes; WSL counts as Linux"
    try:
        import torch
    except ImportError:
        return "torch was not importable during the build; install torch first and use pip's --no-build-isolation"
    if sys.platform == "darwin" and not output_of("xcode-select", "-p"):
        return "Apple's command line tools are missing; run xcode-select --install"
    compiler = os.environ.get("CXX", "c++").split()[0]
    if shutil.which(compiler) is None:
        return f"no C++ compiler was found (looked for `{compiler}`); install g++ or clang++, or set CXX"
    header = Path(sysconfig.get_path("include"), "Python.h")
    if not header.exists():
        return f"{header} is missing; install Python's development headers (python3-dev)"
    if kind == "cpu":
        return None
    if torch.version.cuda is None:
        return f"torch {torch.__version__} was built without CUDA"
    home = find_cuda_home()
    if home is None:
        return "no CUDA toolkit with bin/nvcc and libcudart was found; install one or set CUDA_HOME"
    release = re.search(r"release (\d+)\.", output_of(f"{home}/bin/nvcc", "--version"))
    if release is None or release[1] != torch.version.cuda.split(".")[0]:
        found = f"release {release[1]}" if release else "of no known release"
        return f"the CUDA toolkit in {home} is {found}, but torch was built for CUDA {torch.version.cuda}"
    return None


def arch_flags() -> list[str]:
    """nvcc's flags for TORCH_CUDA_ARCH_LIST, with sm_90a in place of sm_90. Torch adds none of its own to them."""
    from torch.utils import cpp_extension

    os.environ.setdefault("TORCH_CUDA_ARCH_LIST", DEFAULT_ARCHES)
    return sorted({SM_90A if flag == SM_90 else flag for flag in cpp_extension._get_cuda_arch_flags()})


def level_digest() -> str:
    """SHA-256 of what the CUDA level kernel is compiled from: sources without blank lines and lines of comments, flags.

    The architectures do not count: what is measured belongs to one GPU, and a build for it alone is the same there.
    """
    sources = [Path("csrc/cuda/level_launch.cu")]
    digest = hashlib.sha256(" ".join(FLAGS["nvcc"]).encode())
    for source in sources:  # which grows
        lines = [line.strip() for line in (ROOT / source).read_text(encoding="utf-8").splitlines()]
        code = [line for line in lines if line and not line.startswith("//")]
        included = re.findall(r'^#include "(?!emulator/)(.+)"$', "\n".join(code), re.MULTILINE)
        sources += [path for path in (Path("csrc", name) for name in included) if path not in sources]
        digest.update("\n".join([source.as_posix(), *code, ""]).encode())
    return digest.hexdigest()


def make_extension(kind: str, with_tests: bool) -> Extension:
    from torch.utils import cpp_extension

    files = [path.relative_to(ROOT) for path in (ROOT / "csrc").rglob("*.c*")]
    skipped = {"standalone"} | ({"cuda"} if kind == "cpu" else set()) | (set() if with_tests else {"testing"})
    sources = [str(path) for path in files if path.suffix in (".cpp", ".cu") and path.parts[1] not in skipped]
    options = {
        "sources": sorted(sources),
        "include_dirs": [str(ROOT / "csrc")],
        "extra_compile_args": {compiler: list(flags) for compiler, flags in FLAGS.items()},
        "extra_link_args": LINK_FLAGS,
        "define_macros": [("HRNET_FAST_WITH_TESTS", None)] if with_tests else [],
    }
    if kind == "cpu":
        return cpp_extension.CppExtension(NAME, **options)
    options["extra_compile_args"]["nvcc"] += arch_flags()
    cpp_extension.CUDA_HOME = os.environ["CUDA_HOME"] = find_cuda_home()
    options["define_macros"].append(("HRNET_FAST_WITH_CUDA", None))
    return cpp_extension.CUDAExtension(NAME, **options)


class BuildKernels(build_ext):
    """Tries each kind that the request allows, richest first, and writes _build.json."""

    def run(self) -> None:
        request = os.environ.get("HRNET_FAST_BUILD", "auto")
        if request not in ATTEMPTS:
            sys.exit(f"HRNET_FAST_BUILD={request} is not one of {', '.join(ATTEMPTS)}")
        reasons = {}
        for kind in ATTEMPTS[request]:
            reason = refusal(kind) or self.compile(kind)
            if reason is None:
                break
            reasons[kind] = reason
            print(f"hrnet_fast: {kind} kernels not built: {reason}", file=sys.stderr)
        else:
            sys.exit(f"HRNET_FAST_BUILD={request} cannot be done: {reasons[request]}")
        self.write_record(request, kind, reasons)

    def compile(self, kind: str) -> str | None:
        for path in self.places("_C*.so"):
            path.unlink()
        if kind == "none":
            return None
        from torch.utils.cpp_extension import BuildExtension

        command = BuildExtension(self.distribution)
        for option in ("build_lib", "build_temp", "inplace", "editable_mode", "force", "debug"):
            setattr(command, option, getattr(self, option))
        try:
            self.distribution.ext_modules = [make_extension(kind, with_tests=bool(self.inplace))]
            command.ensure_finalized()
            command.run()
        except Exception as error:
            return f"the compiler failed ({str(error).splitlines()[0]}); its messages are printed by pip install -v"
        return None

    def write_record(self, request: str, kind: str, reasons: dict[str, str]) -> None:
        record = {"request": request, "kind": kind, "reasons": reasons, "python": sysconfig.get_python_version()}
        if request == "none":
            record["reasons"] = {"cpu": "HRNET_FAST_BUILD=none was asked for"}
        if kind != "none":
            import torch

            record |= {
                "torch": torch.__version__,
                "cuda": torch.version.cuda if kind == "cuda" else None,
                "compiler": output_of(*os.environ.get("CXX", "c++").split(), "--version").partition("\n")[0],
                "flags": FLAGS,
                "arches": " ".join(flag.rpartition("code=")[2] for flag in arch_flags()) if kind == "cuda" else None,
                "cuda_level": level_digest() if kind == "cuda" else None,
            }
        for folder in self.folders():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "_build.json").write_text(json.dumps(record, indent=2) + "\n")

    def folders(self) -> list[Path]:
        """Where the extension goes: the build folder, and the source folder too when building in place."""
        built = Path(self.build_lib, *NAME.split(".")[:-1])
        return [built, Path(self.get_ext_fullpath(NAME)).parent] if self.inplace else [built]

    def places(self, pattern: str) -> list[Path]:
        return [path for folder in self.folders() for path in sorted(folder.glob(pattern))]

    def get_outputs(self) -> list[str]:
        return [str(path) for pattern in ("_C*.so", "_build.json") for path in self.folders()[0].glob(pattern)]

    def get_output_mapping(self) -> dict[str, str]:
        return {path: str(self.folders()[1] / Path(path).name) for path in self.get_outputs()} if self.inplace else {}


setup(
    version=VERSION,
    packages=find_packages(include=["hrnet_fast*"]) + [f"hrnet_fast.{p}" for p in find_packages(include=["kernels*"])],
    package_dir={"hrnet_fast": "hrnet_fast", "hrnet_fast.kernels": "kernels"},
    package_data={"hrnet_fast": ["py.typed", "*.pyi"]},
    ext_modules=[Extension(NAME, sources=[])],
    cmdclass={"build_ext": BuildKernels},
)
