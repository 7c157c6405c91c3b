"""Batch norms that are written out: modules with a batch norm's tensors that compute themselves what one computes,
as detectors' FrozenBatchNorm2d. Planned as batch norms, they are folded into convolutions."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_SHAPES = ((2, 1, 3), (1, 7, 6), (3, 40, 1))  # images, height, width of the maps on which a norm is told
_LEAST = 5e-324  # adds nothing to a variance; older torch refuses an eps of 0
_TENSORS = {"weight", "bias", "running_mean", "running_var"}


def frozen_norm(module: nn.Module) -> Callable[[Tensor], Tensor] | None:
    """The batch norm that a module computes, on its tensors; None for any other module, torch's own norms too.

    It is told from numbers: the module's forward, on other tensors of its shapes, has to have a batch norm's results,
    for maps of several sizes and numbers of any scale, so that no clamp, mean or branch by size passes for one.
    """
    own = module._parameters | module._buffers
    if own.keys() - {"eps", "num_batches_tracked"} != _TENSORS or module._modules or _is_torchs(module):
        return None
    weight, bias, mean, var = (own[name] for name in ("weight", "bias", "running_mean", "running_var"))
    if any(not isinstance(t, Tensor) or t.dim() != 1 or t.shape != weight.shape for t in (weight, bias, mean, var)):
        return None
    eps = _epsilon(module)
    if eps is None or not _computes_one(module, weight.shape[0], eps):
        return None
    return lambda x: F.batch_norm(x, mean, var, weight, bias, eps=eps)


def _is_torchs(module: nn.Module) -> bool:
    return type(module).__module__.startswith("torch.nn.")


def _epsilon(module: nn.Module) -> float | None:
    """What is added to variances: an attribute, or a buffer that holds one number; else next to nothing."""
    eps = getattr(module, "eps", 0.0)
    if isinstance(eps, Tensor):
        if eps.is_meta or eps.numel() == 0 or not bool((eps == eps.flatten()[0]).all()):
            return None
        eps = eps.flatten()[0].item()
    return max(float(eps), _LEAST) if isinstance(eps, (int, float)) and eps >= 0 else None


def _computes_one(module: nn.Module, channels: int, eps: float) -> bool:
    draw = torch.Generator("cpu").manual_seed(0)
    drawn = {"generator": draw, "dtype": torch.float64, "device": "cpu"}
    numbers = {name: torch.rand(channels, **drawn) + 0.5 for name in sorted(_TENSORS)}
    twin = object.__new__(type(module))
    twin.__dict__.update(module.__dict__, training=False, _parameters={}, _buffers=dict(numbers))
    for name in ("eps", "num_batches_tracked"):
        if name in module._buffers:
            twin._buffers[name] = module._buffers[name].to("cpu", torch.float64)
    for shape in _SHAPES:
        x = torch.randn(shape[0], channels, *shape[1:], **drawn) * 10 ** (7 * torch.rand(1, channels, 1, 1, **drawn))
        try:
            result = type(module).forward(twin, x)
        except Exception:  # whatever it is, it is no batch norm of one map
            return False
        tensors = (numbers[name] for name in ("running_mean", "running_var", "weight", "bias"))
        expected = F.batch_norm(x, *tensors, eps=eps)
        if (
            not isinstance(result, Tensor)
            or result.shape != x.shape
            or not torch.allclose(result, expected, 1e-6, 1e-6)
        ):
            return False
    return True
