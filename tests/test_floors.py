"""Imports go down only: a file may import the floors below its own, and of other packages those of its floor alone."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
IMAGES = {"PIL", "cv2", "h5py", "numpy", "pycocotools", "scipy", "torchvision", "tqdm"}
# floor -> (floors that it may import besides itself, packages that it may import besides Python's own)
FLOORS = {
    "kernels": (set(), {"torch", "triton"}),
    "models": (set(), {"torch"}),
    "plan": ({"models"}, {"torch"}),
    "weights": ({"models"}, {"torch", "numpy", "safetensors"}),
    "engine": ({"models", "plan", "kernels", "numerics", "processor"}, {"torch", "triton", "numpy"}),
    "numerics": (set(), {"torch", "numpy"}),
    "timing": (set(), {"numpy"}),
    "processor": (set(), set()),
    "env": ({"kernels", "processor"}, {"torch", "numpy"}),
    "api": ({"models", "plan", "weights", "engine", "kernels", "env"}, {"torch", "numpy"}),
    "tasks": ({"kernels"}, {"torch", *IMAGES}),
    "tasks/network": ({"api", "models", "weights"}, {"torch"}),  # the one door from pictures to networks
    "synthetic": ({"tasks"}, {"numpy"}),
    "__init__": (set(), set()),
}
TOP = {"cli", "__main__"}  # the commands import what they like


def floor_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts[0] == "kernels":
        return parts[0]
    own = "/".join(parts[1:])
    return own if own in FLOORS else parts[1]


def package_of(path: Path) -> list[str]:
    parts = list(path.relative_to(ROOT).parent.parts)
    return parts if parts[0] == "hrnet_fast" else ["hrnet_fast", *parts]


def imported(source: str, package: list[str]) -> set[str]:
    """Full names of the modules that `source`, a file of `package`, imports anywhere."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join(base + ([node.module] if node.module else []))
            names |= {f"{module}.{alias.name}" for alias in node.names} if module == "hrnet_fast" else {module}
    return names


def faults(source: str, floor: str, package: list[str]) -> list[str]:
    """What `source` imports and must not."""
    floors, packages = FLOORS[floor]
    wrong = []
    for name in sorted(imported(source, package)):
        head, _, rest = name.partition(".")
        if head == "hrnet_fast":
            target = rest.partition(".")[0]
            if target not in {floor.partition("/")[0], *floors, "__version__"}:
                wrong.append(name)
        elif head not in sys.stdlib_module_names and head not in packages:
            wrong.append(name)
    return wrong


FILES = [
    path
    for folder in ("hrnet_fast", "kernels")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if floor_of(path) not in TOP
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down_only(path):
    assert floor_of(path) in FLOORS, f"{path.relative_to(ROOT)} is on no floor: add it to FLOORS"
    assert faults(path.read_text(), floor_of(path), package_of(path)) == []


@pytest.mark.parametrize(
    ("source", "floor", "wrong"),
    [
        ("from ..engine import graph", "models", ["hrnet_fast.engine"]),
        ("def f():\n    import hrnet_fast.plan.ir", "weights", ["hrnet_fast.plan.ir"]),
        ("from hrnet_fast import api, models", "plan", ["hrnet_fast.api"]),
        ("import kernels", "engine", ["kernels"]),
        ("import benchmarks.cases", "engine", ["benchmarks.cases"]),
        ("import numpy", "models", ["numpy"]),
        ("import os, torch\nfrom .fold import fold\nfrom ..models import blocks", "plan", []),
    ],
    ids=["above", "inside-a-function", "one-of-two", "top-level-kernels", "benchmarks", "package", "allowed"],
)
def test_the_walk_sees(source, floor, wrong):
    assert faults(source, floor, ["hrnet_fast", floor]) == wrong
