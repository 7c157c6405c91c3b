"""What the ops that resize maps share: the resize itself in plain torch, and the checks of their arguments."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

MODES = ("nearest", "bilinear")
DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
MAX_TERMS = 8


def resize_ref(
    x: Tensor,  # [N, C, h, w]
    size: Sequence[int],
    mode: str,
    align_corners: bool,
) -> Tensor:  # [N, C, H, W] channels_last
    """Equivalent to `F.interpolate(x, size, mode=mode, align_corners=align_corners)`."""
    # torch's float64 kernels for the two layouts round some nearest indices differently; channels_last decides
    x = x.contiguous(memory_format=torch.channels_last)
    if tuple(x.shape[2:]) == tuple(size):
        return x
    if mode == "nearest":
        return F.interpolate(x, size=tuple(size), mode="nearest")
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=align_corners)


def check_resize(
    op: str, kind: str, maps: Sequence[Tensor], size: Sequence[int], mode: str, align_corners: bool
) -> list[Tensor]:
    """The maps as a list. Raises, with one sentence, if they cannot be resized to one size; `kind` is what the op calls
    a map."""
    maps = list(maps) if isinstance(maps, tuple) else maps
    if not isinstance(maps, list) or not all(isinstance(x, Tensor) for x in maps):
        raise TypeError(f"{op}: {kind}s must be a list of tensors")
    if not 1 <= len(maps) <= MAX_TERMS:
        raise ValueError(f"{op}: got {len(maps)} {kind}s; give 1 to {MAX_TERMS}")
    if mode not in MODES:
        raise ValueError(f"{op}: mode {mode!r} is not known; use one of {', '.join(MODES)}")
    if align_corners and mode == "nearest":
        raise ValueError(f"{op}: align_corners=True has no meaning with mode='nearest'; leave it out or use 'bilinear'")
    if len(size) != 2 or size[0] < 1 or size[1] < 1:
        raise ValueError(f"{op}: size {tuple(size)} is not (height, width) with both at least 1")
    grad = torch.is_grad_enabled()
    for k, x in enumerate(maps):
        check_map(op, kind, k, x, maps[0], grad)
    return maps


def check_map(op: str, kind: str, k: int, x: Tensor, first: Tensor, grad: bool) -> None:
    """Raises, with one sentence, if map k cannot be resized together with the first one; `grad`: gradients are on."""
    fault = _fault(op, kind, x, first, grad)
    if fault:
        raise fault[0](f"{op}: {kind} {k} {fault[1]}")


def _fault(op: str, kind: str, x: Tensor, first: Tensor, grad: bool) -> tuple[type[Exception], str] | None:
    shape = x.shape
    if len(shape) != 4:
        return ValueError, f"has shape {tuple(shape)}; (N, C, height, width) is needed"
    if 0 in shape[1:]:
        return ValueError, f"has shape {tuple(shape)}; channels, height and width must be at least 1"
    if x.dtype not in DTYPES:
        return TypeError, f"is {x.dtype}; use one of {', '.join(str(d).removeprefix('torch.') for d in DTYPES)}"
    if x.dtype != first.dtype:
        return TypeError, f"is {x.dtype} and {kind} 0 is {first.dtype}; cast them to one dtype"
    if x.device != first.device:
        return ValueError, f"is on {x.device} and {kind} 0 on {first.device}; move them to one device"
    if shape[0] != first.shape[0]:
        return ValueError, f"has batch {shape[0]} and {kind} 0 has {first.shape[0]}; they must agree"
    if grad and x.requires_grad:
        return RuntimeError, f"requires a gradient, which this op has not; use {op}_ref, or torch.no_grad()"
    return None


def empty_channels_last(like: Tensor, channels: int, size: Sequence[int]) -> Tensor:
    """What both ops return, without values: (N, channels, *size), dtype and device of `like`, channels_last."""
    shape = (like.shape[0], channels, *size)
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)
