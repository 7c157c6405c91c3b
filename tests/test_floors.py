"""Imports go down only: a file may import the floors below its own, and of other packages those of its floor alone."""

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
IMAGES = {"PIL", "numpy", "pycocotools", "scipy"}  # others by `tasks/optional.py`, where they are there
# floor -> (floors that it may import besides itself, packages that it may import besides Python's own)
FLOORS = {
    "kernels": (set(), {"torch", "triton"}),
    "models": (set(), {"torch", "typing_extensions"}),
    "plan": (set(), {"torch"}),  # the models are as foreign to it as anybody's
    "weights": ({"models"}, {"torch", "numpy", "safetensors"}),
    "engine": ({"plan", "kernels", "numerics", "timing", "processor"}, {"torch", "triton"}),
    "numerics": (set(), {"torch", "numpy"}),
    "timing": (set(), {"numpy"}),
    "processor": (set(), set()),
    "env": ({"kernels", "processor"}, {"torch", "numpy"}),
    "api": ({"plan", "engine"}, {"torch"}),
    "saved": ({"api", "engine", "plan", "models", "weights"}, {"torch", "torchvision"}),
    "tasks": ({"kernels"}, {"torch", *IMAGES}),
    "tasks/network": (
        {"tasks", "api", "models", "saved", "weights"},
        {"torch"},
    ),  # the one door from pictures to networks
    "synthetic": ({"tasks"}, {"numpy"}),
    "__init__": (set(), set()),
}
# part of the engine -> parts that it may import besides itself; the engine's other files may import any
ENGINE = {
    "interpret": set(),
    "locks": set(),
    "results": set(),
    "executor": {"interpret", "tuning"},
    "tuning": {"locks"},
    "cpu": {"interpret", "results", "tuning"},
    "gpu": {"interpret", "locks", "results", "tuning"},
    "executors": {"executor", "cpu", "gpu", "interpret", "locks", "results", "tuning"},
}
for part, others in ENGINE.items():
    FLOORS[f"engine/{part}"] = (FLOORS["engine"][0] | {f"engine/{other}" for other in others}, FLOORS["engine"][1])
TOP = {"cli", "__main__"}  # the commands import what they like


def floor_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts[0] == "kernels":
        return parts[0]
    own = "/".join(parts[1:3])
    return own if own in FLOORS else parts[1]


def package_of(path: Path) -> list[str]:
    parts = list(path.relative_to(ROOT).parent.parts)
    return parts if parts[0] == "hrnet_fast" else ["hrnet_fast", *parts]


def imported(source: str, package: list[str], wholes=("hrnet_fast", "hrnet_fast.engine")) -> set[str]:
    """Full names of the modules that `source`, a file of `package`, imports anywhere; of what it imports from `wholes`,
    the name itself."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join(base + ([node.module] if node.module else []))
            names |= {f"{module}.{alias.name}" for alias in node.names} if module in wholes else {module}
    return names


def faults(source: str, floor: str, package: list[str]) -> list[str]:
    """What `source` imports and must not."""
    floors, packages = FLOORS[floor]
    wrong = []
    for name in sorted(imported(source, package)):
        head, _, rest = name.partition(".")
        if head == "hrnet_fast":
            parts = rest.split(".")
            if not {parts[0], "/".join(parts[:2])} & {floor, *floors, "__version__"}:
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


def test_imports_go_down_only():
    homeless = [str(path.relative_to(ROOT)) for path in FILES if floor_of(path) not in FLOORS]
    assert not homeless, "these are on no floor: add them to FLOORS"
    found = {path: faults(path.read_text(), floor_of(path), package_of(path)) for path in FILES}
    assert {str(path.relative_to(ROOT)): wrong for path, wrong in found.items() if wrong} == {}


def test_no_file_imports_itself_by_way_of_others():
    names = {".".join([*package_of(path), path.stem]).removesuffix(".__init__"): path for path in FILES}
    packages = {name for name, path in names.items() if path.stem == "__init__"}
    graph = {}
    for name, path in names.items():
        found = imported(path.read_text(), package_of(path), packages)
        graph[name] = {each if each in names else each.rpartition(".")[0] for each in found}
    graph["hrnet_fast.plan.ir"].remove("hrnet_fast.plan.describe")  # when a plan is printed
    TopologicalSorter(graph).prepare()  # raises CycleError


@pytest.mark.parametrize(
    ("source", "floor", "wrong"),
    [
        ("from ..engine.graph import find", "models", ["hrnet_fast.engine.graph"]),
        ("def f():\n    import hrnet_fast.plan.ir", "weights", ["hrnet_fast.plan.ir"]),
        ("from hrnet_fast import api, models", "weights", ["hrnet_fast.api"]),
        ("import kernels", "engine", ["kernels"]),
        ("import benchmarks.cases", "engine", ["benchmarks.cases"]),
        ("import numpy", "models", ["numpy"]),
        ("from ..models import blocks", "plan", ["hrnet_fast.models"]),
        ("import os, torch\nfrom .fold import fold\nfrom ..models import blocks", "weights", []),
        ("from ..executors.native import unsupported", "engine/cpu", ["hrnet_fast.engine.executors.native"]),
        ("from .. import module, results", "engine/gpu", ["hrnet_fast.engine.module"]),
        ("from ..gpu.lower import Lowering\nfrom ...plan import Plan\nfrom .native import x", "engine/executors", []),
    ],
    ids=["above", "inside-a-function", "one-of-two", "top-level-kernels", "benchmarks", "package", "beside", "allowed",
         "above-in-the-engine", "one-of-two-in-the-engine", "allowed-in-the-engine"],
)  # fmt: skip
def test_the_walk_sees(source, floor, wrong):
    assert faults(source, floor, ["hrnet_fast", *floor.split("/")]) == wrong
