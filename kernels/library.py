"""The library `torch.ops.hrnet_fast`: schemas in Python, implementations in C++, or in torch where that lacks."""

from collections.abc import Callable
from typing import Any

import torch

from .extension import REBUILD, extension

library = torch.library.Library("hrnet_fast", "DEF")
DEVICES = ("cpu", "cuda")
_torch_devices: dict[str, set[str]] = {}  # op -> the devices where it runs on its reference


def define(schema: str, *, reference: Callable[..., Any] | None, fake: Callable[..., Any]) -> None:
    """Defines the op `schema`; `reference` becomes its implementation on every device that the extension lacks.

    reference: None for an op that is there only where it is compiled.
    """
    name = schema.partition("(")[0]
    library.define(schema)
    torch.library.register_fake(f"hrnet_fast::{name}", fake, lib=library)
    extension()  # opening it registers its implementations
    if reference is None:
        return
    missing = {device for device in DEVICES if not is_compiled(name, device)}
    for device in missing:
        library.impl(name, reference, device.upper())
    _torch_devices[name] = missing


def implementations() -> dict[str, dict[str, Any]]:
    """Who computes each op: {"fuse_sum": {"cpu": "c++", "cuda": "torch", "reasons": {"cuda": "..."}}, ...}.

    Ops without a reference are left out. "c++" and "cuda" are compiled; "torch" is the op's `*_ref`, and `reasons` says
    why.
    """
    compiled = {"cpu": "c++", "cuda": "cuda"}
    return {
        name: {device: "torch" if device in missing else compiled[device] for device in DEVICES}
        | {"reasons": {device: why_not_compiled(device) for device in sorted(missing)}}
        for name, missing in _torch_devices.items()
    }


def is_compiled(name: str, device: str) -> bool:
    """Whether the extension computes an op on a device."""
    return torch._C._dispatch_has_kernel_for_dispatch_key(f"hrnet_fast::{name}", device.upper())


def why_not_compiled(device: str) -> str:
    """Why the extension lacks an op on a device."""
    loaded = extension()
    if loaded.reason is None or device in DEVICES[: ("none", "cpu", "cuda").index(loaded.kind)]:
        return f"the extension lacks this op, its sources are older: {REBUILD}"
    return loaded.reason
