"""Which task a head belongs to, and which package serves it."""

from __future__ import annotations

import importlib
from types import MappingProxyType, ModuleType

# Task -> the heads of `hrnet_fast.models` that it can read. The package of a task is hrnet_fast.tasks.<task>.
HEADS = MappingProxyType({
    "pose": ("pose", "pose_v1h"),
    "segmentation": ("segmentation", "ocr"),
    "landmark": ("landmark",),
    "classification": ("classification", "classification_ci", "classification_cii"),
    "bottom_up": ("pose_higher",),
    "detection": ("faster_rcnn",),
})  # fmt: skip


def task_of(head: str) -> str:
    """The task that a head belongs to. ValueError for a head that no task reads (the bare pyramid, features)."""
    for task, heads in HEADS.items():
        if head in heads:
            return task
    raise ValueError(
        f"no task reads the head {head!r}; predict and evaluate take models with the heads "
        f"{', '.join(name for heads in HEADS.values() for name in heads)}"
    )


def package_of(task: str) -> ModuleType:
    """The package of a task: Estimator, draw, to_json, DATASETS, evaluate. ValueError for an unknown task."""
    if task not in HEADS:
        raise ValueError(f"task {task!r} is not known; choose one of {', '.join(HEADS)}")
    return importlib.import_module(f"{__package__}.{task}")
