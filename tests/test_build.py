"""The build and what is kept of it: a refusal leaves a sentence, and an extension that does not fit is never opened."""

import json
import os
import runpy
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
import torch

from hrnet_fast.kernels import extension
from hrnet_fast.kernels.extension import REBUILD, load, refusal

ROOT = Path(__file__).resolve().parents[1]
TORCH = ".".join(torch.__version__.split(".")[:2])
PYTHON = sysconfig.get_python_version()
FITS = {"kind": "cpu", "reasons": {}, "python": PYTHON, "torch": torch.__version__, "cuda": None}


def build(tmp_path: Path, request: str, **environment: str) -> tuple[subprocess.CompletedProcess, dict]:
    """Runs setup.py as pip does, into a folder of its own."""
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", f"--build-lib={tmp_path}/lib", f"--build-temp={tmp_path}/temp"],
        cwd=ROOT,
        env={**os.environ, "HRNET_FAST_BUILD": request, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    record = tmp_path / "lib/hrnet_fast/kernels/_build.json"
    return done, json.loads(record.read_text()) if record.exists() else {}


def test_none_builds_nothing(tmp_path):
    done, record = build(tmp_path, "none")
    assert done.returncode == 0, done.stderr
    assert record == {
        "request": "none",
        "kind": "none",
        "reasons": {"cpu": "HRNET_FAST_BUILD=none was asked for"},
        "python": PYTHON,
    }
    assert not list(tmp_path.rglob("_C*"))


def test_auto_without_a_compiler_succeeds_and_keeps_the_reason(tmp_path):
    done, record = build(tmp_path, "auto", CXX="no-such-compiler")
    assert done.returncode == 0, done.stderr
    reason = "no C++ compiler was found (looked for `no-such-compiler`); install g++ or clang++, or set CXX"
    assert (record["kind"], record["reasons"]) == ("none", {"cuda": reason, "cpu": reason})
    assert load_record(tmp_path, record).reason == f"the C++ extension was not built (cuda, cpu: {reason})"


def test_auto_with_a_compiler_that_fails_succeeds_and_keeps_the_reason(tmp_path):
    done, record = build(tmp_path, "auto", CXX="false", CUDA_HOME="/no/such/toolkit")
    assert done.returncode == 0, done.stderr
    assert record["kind"] == "none"
    assert record["reasons"]["cpu"].startswith("the compiler failed (")


def test_auto_without_torch_succeeds_and_keeps_the_reason(tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('no torch here')")
    done, record = build(tmp_path, "auto", PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    reason = "torch was not importable during the build; install torch first and use pip's --no-build-isolation"
    assert (record["kind"], record["reasons"]["cpu"]) == ("none", reason)


@pytest.mark.parametrize(
    ("request_", "environment", "sentence"),
    [
        ("all", {}, "HRNET_FAST_BUILD=all is not one of auto, cuda, cpu, none"),
        ("cpu", {"CXX": "no-such-compiler"}, "HRNET_FAST_BUILD=cpu cannot be done: no C++ compiler was found"),
        ("cuda", {"CUDA_HOME": "/no/such/toolkit"}, "HRNET_FAST_BUILD=cuda cannot be done: "),
    ],
    ids=["unknown", "no-compiler", "no-toolkit"],
)
def test_an_explicit_request_fails_with_a_sentence(tmp_path, request_, environment, sentence):
    done, record = build(tmp_path, request_, **environment)
    assert done.returncode != 0
    assert record == {}
    assert sentence in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def load_record(tmp_path: Path, record: dict | None):
    path = tmp_path / "_build.json"
    if record is not None:
        path.write_text(json.dumps(record))
    return load(path)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (None, f"the C++ extension was not built: {REBUILD}"),
        (
            {**FITS, "torch": "2.3.1+cpu"},
            f"the C++ extension was built for torch 2.3, and this is torch {TORCH}: {REBUILD}",
        ),
        (
            {**FITS, "python": "3.7"},
            f"the C++ extension was built for Python 3.7, and this is Python {PYTHON}: {REBUILD}",
        ),
        (
            {**FITS, "kind": "cuda", "cuda": "9.1"},
            "the C++ extension was built for CUDA 9, and this is CUDA "
            f"{(torch.version.cuda or 'none').split('.')[0]}: {REBUILD}",
        ),
    ],
    ids=["no-record", "torch", "python", "cuda"],
)
def test_an_extension_that_does_not_fit_is_not_opened(tmp_path, record, reason):
    loaded = load_record(tmp_path, record)
    assert (loaded.module, loaded.kind, loaded.reason) == (None, "none", reason)


def test_a_patch_release_of_torch_fits():
    assert refusal({**FITS, "torch": f"{TORCH}.99"}) is None


def test_a_record_without_its_file_is_a_reason(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "hrnet_fast.kernels._C", None)
    loaded = load_record(tmp_path, FITS)
    assert loaded.module is None
    assert loaded.reason.startswith("the C++ extension could not be opened (")


def test_what_was_asked_for_is_what_runs():
    request = os.environ.get("HRNET_FAST_BUILD", "auto")
    if request in ("cpu", "cuda"):
        assert extension().kind == request
    if extension().module is not None:
        info = extension().module.build_info()
        assert info["torch"].split(".")[:2] == TORCH.split(".")
        assert (info["cuda"] is not None) == (extension().kind == "cuda")
        assert info["openmp"], "without OpenMP at::parallel_for is a plain loop"


@pytest.fixture
def setup_py(monkeypatch) -> dict:
    """The names of setup.py, which builds nothing."""
    monkeypatch.setattr(pytest.importorskip("setuptools"), "setup", lambda **options: None)
    monkeypatch.setenv("TORCH_CUDA_ARCH_LIST", "")
    monkeypatch.delenv("TORCH_CUDA_ARCH_LIST")
    return runpy.run_path(str(ROOT / "setup.py"))


@pytest.mark.parametrize(
    ("asked", "built"),
    [
        (None, ["compute_90", "sm_80", "sm_86", "sm_89", "sm_90a"]),
        ("8.6", ["sm_86"]),
        ("9.0", ["sm_90a"]),
        ("8.0 9.0a 9.0+PTX 10.0", ["compute_90", "sm_100", "sm_80", "sm_90a"]),
    ],
    ids=str,
)
def test_sm_90_is_always_built_with_warpgroups(setup_py, monkeypatch, asked, built):
    if asked:
        monkeypatch.setenv("TORCH_CUDA_ARCH_LIST", asked)
    flags = setup_py["arch_flags"]()
    assert sorted(flag.rpartition("code=")[2] for flag in flags) == built
    assert torch.utils.cpp_extension._get_cuda_arch_flags(flags) == []  # torch's own are left out


def test_the_level_kernel_s_digest_counts_its_code_alone(setup_py, tmp_path, monkeypatch):
    digest = setup_py["level_digest"]
    first = digest()
    shutil.copytree(ROOT / "csrc", tmp_path / "csrc")
    digest.__globals__["ROOT"] = tmp_path

    def changed_by(name: str, line: str) -> bool:
        file = tmp_path / "csrc" / name
        text = file.read_text()
        file.write_text(text + line)
        try:
            return digest() != first
        finally:
            file.write_text(text)

    code = ("cuda/level_launch.cu", "cuda/level.h", "cuda/device/multiply_group.cuh", "dtype.h")
    assert all(changed_by(name, "int more;\n") for name in code)
    assert not any(changed_by(name, "\n  // a comment\n") for name in code)
    others = ("cuda/resize_sum_launch.cu", "emulator/thread.h", "host.h")
    assert not any(changed_by(name, "int more;\n") for name in others)
    monkeypatch.setenv("TORCH_CUDA_ARCH_LIST", "9.0")
    assert digest() == first
    digest.__globals__["FLAGS"]["nvcc"].append("-G")
    assert digest() != first


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """A wheel without the extension, built from a copy of the sources alone."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    ignore = shutil.ignore_patterns("__pycache__", "_C*", "_build.json")
    for folder in ("hrnet_fast", "kernels", "csrc"):
        shutil.copytree(ROOT / folder, source / folder, ignore=ignore)
    for name in ("setup.py", "pyproject.toml", "MANIFEST.in", "LICENSE", "README.md"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, source / name)
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "-q",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            str(target),
            str(source),
        ],
        env={**os.environ, "HRNET_FAST_BUILD": "none"},
        check=True,
    )
    (path,) = target.glob("*.whl")
    return path


def test_the_wheel_holds_kernels_inside_the_package_only(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    typed = {"hrnet_fast/py.typed", "hrnet_fast/__init__.pyi"}
    assert {"hrnet_fast/kernels/fuse_sum.py", "hrnet_fast/kernels/_build.json", *typed} <= set(names)
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"hrnet_fast"}


def test_the_folder_is_not_taken_for_the_package_of_its_name():
    """As Transformers does, which looks for `kernels` and would run its files a second time."""
    with pytest.raises(ImportError, match="hrnet_fast.kernels, not the package of that name: .* start Python where"):
        runpy.run_path(str(ROOT / "kernels/__init__.py"), run_name="kernels")


def test_the_wheel_runs_without_the_extension(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = "from hrnet_fast import kernels; print(kernels.__file__); print(kernels.extension().reason)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        str(tmp_path / "hrnet_fast/kernels/__init__.py"),
        "the C++ extension was not built (cpu: HRNET_FAST_BUILD=none was asked for)",
    ]
