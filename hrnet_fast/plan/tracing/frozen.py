"""Batch norms that are written out: modules with a batch norm's tensors that compute themselves what one computes,
as detectors' FrozenBatchNorm2d. Planned as batch norms, they are folded into convolutions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Images, height, width and dtype of the maps on which a norm is told, and how far its results may be off.
_TRIALS = (
    ((2, 1, 3), torch.float64, 1e-6), ((1, 7, 6), torch.float64, 1e-6), ((3, 40, 1), torch.float64, 1e-6),
    ((2, 5, 4), torch.float32, 1e-3),
)  # fmt: skip
_LEAST = 5e-324  # adds nothing to a variance; older torch refuses an eps of 0
_TENSORS = ("running_mean", "running_var", "weight", "bias")  # as F.batch_norm takes them
_OTHERS = ("eps", "num_batches_tracked")


def frozen_norm(module: nn.Module) -> Callable[[Tensor], Tensor] | None:
    """The batch norm that a module computes, on its tensors; None for any other module, torch's own norms too.

    It is told from numbers: the module's forward, on other tensors of its shapes, has to have a batch norm's results,
    for maps of several sizes and dtypes and numbers of any sign and scale, so that no clamp, mean, hidden epsilon or
    branch passes for one, but one by sizes that are not tried.
    """
    if "forward" in module.__dict__:  # it computes something else than its class
        return None
    own = module._parameters | module._buffers
    if own.keys() - set(_OTHERS) != set(_TENSORS) or module._modules or _is_torchs(module):
        return None
    tensors = [t for name in _TENSORS if isinstance(t := own[name], Tensor)]
    if len(tensors) < len(_TENSORS) or any(t.dim() != 1 or t.shape != tensors[0].shape for t in tensors):
        return None
    eps = _epsilon(module)
    if eps is None or not _computes_one(module, tensors[0].shape[0], eps):
        return None
    mean, var, weight, bias = tensors
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
    return all(_agrees(module, channels, eps, draw, place) for place in range(len(_TRIALS)))


def _agrees(module: nn.Module, channels: int, eps: float, draw: torch.Generator, place: int) -> bool:
    shape, dtype, tolerance = _TRIALS[place]
    drawn: dict[str, Any] = {"generator": draw, "dtype": torch.float64, "device": "cpu"}
    scale = 10 ** (7 * torch.rand(channels, **drawn))
    x = torch.randn(shape[0], channels, *shape[1:], **drawn) * scale.view(-1, 1, 1)
    mean, var, weight, bias = _numbers(channels, eps, scale, place)
    expected = F.batch_norm(x, mean, var, weight, bias, eps=eps)
    others = (module._buffers.get(name) for name in _OTHERS)
    own = {name: tensor.to("cpu") for name, tensor in zip(_OTHERS, others) if tensor is not None}
    numbers = dict(zip(_TENSORS, (mean, var, weight, bias)))
    buffers = {name: tensor.to(dtype) for name, tensor in (numbers | own).items()}
    twin = object.__new__(type(module))
    twin.__dict__.update(module.__dict__, training=False, _parameters={}, _buffers=buffers)
    try:
        result = type(module).forward(twin, x.to(dtype))
    except Exception:  # whatever it is, it is no batch norm of one map
        return False
    if not isinstance(result, Tensor) or (result.shape, result.dtype) != (x.shape, dtype):
        return False
    largest = expected.abs().amax((0, 2, 3), keepdim=True)
    return bool(((result - expected).abs() <= tolerance * largest).all())


def _numbers(channels: int, eps: float, scale: Tensor, place: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A norm's mean, variance, weight and bias, all of which show in the results for maps of this scale.

    Over the trials each channel has variances of any scale, and weight, bias and mean of both signs.
    """
    given: dict[str, Any] = {"dtype": torch.float64, "device": "cpu"}
    signs = torch.tensor([1.0, -1.0] * (channels + 2), **given)
    var = 10 ** torch.linspace(-12, 4, len(_TRIALS) * channels, **given)[place :: len(_TRIALS)]
    mean, weight, bias = (signs[begin:][:channels] for begin in ((place + 1) // 2, place, place // 2))
    return 0.7 * scale * mean, var, 1.3 * weight, 0.9 * scale * (var + eps).rsqrt() * bias
