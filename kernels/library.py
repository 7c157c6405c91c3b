"""The library `torch.ops.hrnet_fast`: schemas in Python, implementations in C++, or in torch where that lacks."""

from collections.abc import Callable, Sequence

import torch

from .extension import REBUILD, extension

library = torch.library.Library("hrnet_fast", "DEF")
DEVICES = ("cpu", "cuda")
_torch_devices: dict[str, set[str]] = {}  # op -> the devices where it runs on its reference
_compiled_for: dict[str, tuple[str, ...]] = {}


def define(schema: str, *, reference: Callable, fake: Callable, compiled_for: Sequence[str] = DEVICES) -> None:
    """Defines the op `schema`; `reference` becomes its implementation on every device that the extension lacks.

    compiled_for: the devices that the op has compiled code for.
    """
    name = schema.partition("(")[0]
    library.define(schema)
    torch.library.register_fake(f"hrnet_fast::{name}", fake, lib=library)
    extension()  # opening it registers its implementations
    missing = {device for device in DEVICES if not _is_compiled(name, device)}
    for device in missing:
        library.impl(name, reference, device.upper())
    _torch_devices[name] = missing
    _compiled_for[name] = tuple(compiled_for)


def implementations() -> dict[str, dict]:
    """Who computes each op: {"fuse_sum": {"cpu": "c++", "cuda": "torch", "reasons": {"cuda": "..."}}, ...}.

    "c++" and "cuda" are compiled; "torch" is the op's `*_ref`, and `reasons` says why.
    """
    compiled = {"cpu": "c++", "cuda": "cuda"}
    return {
        name: {device: "torch" if device in missing else compiled[device] for device in DEVICES}
        | {"reasons": {device: _reason(name, device) for device in sorted(missing)}}
        for name, missing in _torch_devices.items()
    }


def _is_compiled(name: str, device: str) -> bool:
    return torch._C._dispatch_has_kernel_for_dispatch_key(f"hrnet_fast::{name}", device.upper())


def _reason(name: str, device: str) -> str:
    if device not in _compiled_for[name]:
        return f"this op has no {device} code of its own yet"
    loaded = extension()
    expected = DEVICES[: ("none", "cpu", "cuda").index(loaded.kind)]
    return f"the extension lacks this op, its sources are older: {REBUILD}" if device in expected else loaded.reason
