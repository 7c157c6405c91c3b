"""What this installation has and lacks: versions, machine, instruction sets, GPUs, and who computes each op and why."""

from __future__ import annotations

import os
import platform
import textwrap
from importlib import metadata, util
from types import ModuleType
from typing import Any

# Distribution and module of each package that some part of the library uses when it is there.
OPTIONAL = {
    "triton": "triton",
    "timm": "timm",
    "safetensors": "safetensors",
    "onnx": "onnx",
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "torchvision": "torchvision",
    "pillow": "PIL",
    "opencv-python-headless": "cv2",
    "pycocotools": "pycocotools",
    "matplotlib": "matplotlib",
    "pytest-benchmark": "pytest_benchmark",
}
WIDTH = 100


def environment() -> dict[str, Any]:
    """Everything that `hrnet-fast env` prints, as data that json.dumps takes.

    versions: name -> version, None where there is none (CUDA in a CPU build of torch).
    machine: os, cpu, cores, threads, features (name -> bool, empty if not read), isa (of the C++ kernels; None
    without the extension), isa_bfloat16 (of those that keep their maps in bfloat16, or None), isa_asked
    (HRNET_FAST_CPU_ISA, or None) and isa_refused (why it cannot be used, or None).
    gpus: a list of name, memory_gib and capability.
    extension: kind ("cuda", "cpu" or "none"), reason (why not more, or None) and build (what the build wrote down).
    ops: as hrnet_fast.kernels.implementations. optional: package -> version, or None if absent.
    """
    import numpy
    import torch

    from . import __version__, kernels
    from .processor import available_cores, cpu_model

    extension = kernels.extension()
    isa, refused = _isa(extension.module)
    return {
        "versions": {
            "hrnet_fast": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": numpy.__version__,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        },
        "machine": {
            "os": f"{platform.system()} {platform.machine()}",
            "cpu": cpu_model(),
            "cores": available_cores(),
            "threads": torch.get_num_threads(),
            "features": dict(extension.module.cpu_features()) if extension.module else {},
            "isa": isa,
            "isa_bfloat16": (extension.module.cpu_isa_bfloat16() or None) if extension.module and isa else None,
            "isa_asked": os.environ.get("HRNET_FAST_CPU_ISA") or None,
            "isa_refused": refused,
        },
        "gpus": [
            {
                "name": properties.name,
                "memory_gib": round(properties.total_memory / 2**30, 1),
                "capability": f"{properties.major}.{properties.minor}",
            }
            for properties in map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
        ],
        "extension": {"kind": extension.kind, "reason": extension.reason, "build": extension.build},
        "ops": kernels.implementations(),
        "optional": {name: _version(name, module) for name, module in OPTIONAL.items()},
    }


def format_environment(report: dict[str, Any]) -> str:
    """The report of `environment` as lines of at most 100 columns."""
    machine, extension = report["machine"], report["extension"]
    present = {name: version for name, version in report["versions"].items() if version is not None}
    features = [name for name, has in machine["features"].items() if has]
    rows = [
        ("versions", ", ".join(f"{name} {version}" for name, version in present.items())),
        (
            "machine",
            f"{machine['cpu']}, {machine['cores']} cores, {machine['threads']} threads in torch, {machine['os']}",
        ),
        ("CPU features", ", ".join(features) or ("none" if machine["features"] else "read by the extension alone")),
        ("CPU kernels", _cpu_kernels(machine)),
    ]
    rows += [
        ("GPU", f"{g['name']}, {g['memory_gib']} GiB, sm_{g['capability'].replace('.', '')}") for g in report["gpus"]
    ]
    if not report["gpus"]:
        rows.append(("GPU", "none visible to torch"))
    kind = {"cuda": "C++ and CUDA ops", "cpu": "C++ ops", "none": "not built: the ops run on plain torch"}
    build = extension["build"]
    rows.append(("extension", kind[extension["kind"]]))
    if extension["kind"] != "none":
        cuda = f", CUDA {build['cuda']} for {build['arches']}" if build["cuda"] else ""
        rows.append(("", f"built for torch {build['torch']}{cuda} by {build['compiler']}"))
    if extension["reason"]:
        rows.append(("", extension["reason"]))
    for name, op in report["ops"].items():
        rows.append((f"op {name}", f"cpu: {op['cpu']}, cuda: {op['cuda']}"))
    optional = report["optional"]
    rows.append(("present", ", ".join(f"{name} {v}" for name, v in optional.items() if v) or "no optional package"))
    rows.append(("absent", ", ".join(name for name, version in optional.items() if not version) or "nothing"))
    return "\n".join(line for title, text in rows for line in _wrap(title, text))


def _isa(module: ModuleType | None) -> tuple[str | None, str | None]:
    """The instruction set of the extension's kernels, or why they cannot run."""
    try:
        return (module.cpu_isa() if module else None), None
    except RuntimeError as error:
        return None, str(error)


def _cpu_kernels(machine: dict[str, Any]) -> str:
    if machine["isa_refused"]:
        return machine["isa_refused"]
    if machine["isa"] is None:
        return "plain torch"
    bfloat16 = f", {machine['isa_bfloat16']} in bfloat16" if machine["isa_bfloat16"] else ""
    return f"{machine['isa']} instructions{bfloat16}" + (", as HRNET_FAST_CPU_ISA asks" if machine["isa_asked"] else "")


def _version(distribution: str, module: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "of unknown version" if util.find_spec(module) else None


def _wrap(title: str, text: str) -> list[str]:
    indent = 20
    lines = textwrap.wrap(text, WIDTH - indent, break_long_words=True, break_on_hyphens=False)
    return [f"{title if k == 0 else '':<{indent}}{line}" for k, line in enumerate(lines)]
