"""The verbs: optimize, explain, verify."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from .engine.examples import Example, examples_of, inputs_of, is_shape, without_data
from .engine.machine import machine
from .engine.module import OptimizedModule
from .engine.nesting import describe
from .engine.verify import VerifyReport
from .engine.verify import verify as _verify
from .plan import Plan, PlanError, make_plan, unwrap
from .plan.cost import annotate


def optimize(
    model: nn.Module, *, dtype: torch.dtype | None = None, executor: str = "auto", exact: bool = False,
    example: Example = None,
) -> OptimizedModule:  # fmt: skip
    """A module with the same forward as `model`, run by the fastest executor that this machine has.

    model: any HRNet (ours, the official repositories', timm's, OpenMMLab's, simple-HRNet), or one HighResolutionModule.
        It is read in evaluation mode and not changed.
    dtype: float32, bfloat16, float16 or float64; None for the dtype of the weights. A CPU whose convolutions in
        bfloat16 or float16 are slower than in float32 computes in float32.
    executor: what runs the network.
        "auto": on a GPU, the fastest of those below and plain torch, measured once per input shape. On a CPU, "native",
        or "onednn" if "native" cannot run; with 16-byte vectors, and in bfloat16 on AMX's tiles, the faster of the two,
        timed once per input shape.
        If none of them can run, "reference".
        "native": the C++ kernels, on a CPU. "onednn": torch's convolutions by oneDNN, on a CPU.
        "triton", "cuda": grouped kernels in Triton or CUDA C++, one launch per level, on a GPU. "cuda-chains": as
        "cuda", with consecutive convolutions in one launch. "cudnn": torch's convolutions by cuDNN, on a GPU.
        "reference": plain torch operations one after another, on any device, in any dtype.
    exact: use only algorithms that are as accurate as a direct convolution: no Winograd on a CPU, and no cuDNN, which
        may choose it, on a GPU (whether float32 products are TF32 there is torch's own switch). Without it, errors are
        still at most twice torch's own, unless channels differ in scale by orders of magnitude: check by `verify`.
    example: an input of the shape to plan first, its shape, or a tuple of these; None for a size that suits the model.
    Raises PlanError (a ValueError), naming what was not understood, if the module cannot be planned, or cannot for
    inputs like `example`; ValueError if the executor is unknown, or if a convolution, or a norm that is folded into it,
    holds NaN or Inf, naming the first key ("reference" finds these in a call); RuntimeError with the reason if the
    executor cannot be used on this machine, on the device of the weights or in this dtype; TypeError if `model` is not
    an nn.Module, `dtype` none of the four, or if `example` holds anything but tensors, shapes and None.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"optimize takes an nn.Module, not {type(model).__name__}")
    if isinstance(model, OptimizedModule):
        model = model.original
    fast = OptimizedModule(model, dtype, executor, exact)
    if example is None:
        _plan_assumed(fast)
    else:
        fast.plan_for(*inputs_of(example))
    return fast


def explain(model: nn.Module, *inputs: Example, dtype: torch.dtype | None = None, executor: str = "auto") -> Plan:
    """The Plan with its maps' bytes, and each level's cost, roofline time, executor and reason. `print` it as a table.

    model: an optimized module, or any module that `optimize` takes.
    inputs: tensors, or shapes such as (1, 3, 256, 192); without any, the size that `optimize` plans first.
    dtype, executor: as for `optimize`; an optimized module keeps its own.
    Raises PlanError, ValueError, RuntimeError and TypeError as `optimize` does.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"explain takes an nn.Module, not {type(model).__name__}")
    fast = model if isinstance(model, OptimizedModule) else OptimizedModule(model, dtype, executor)
    plan = fast.plan_for(*without_data(inputs)) if inputs else _plan_assumed(fast)
    player = fast.executor
    roofline = machine(fast.device, player.dtype)
    annotated = annotate(plan, player.dtype, roofline, partial(player.explain, plan), player.cost)
    return replace(annotated, map_bytes=player.map_bytes(plan))


def verify(model: nn.Module, fast: OptimizedModule, *inputs: Example, levels: bool = False) -> VerifyReport:
    """The errors of `fast` against `model` in float64, next to those of the plain module in the same dtype.

    The rule: the error of each result (the relative L2 norm of its difference from float64) is at most twice the plain
    module's own. The plain module runs in the contiguous and in the channels-last format, and its larger error counts.
    In float64 the plain module is its own reference, and the error is at most 1e-12. Of labels and masks,
    where torch has most of them right, the shares that differ are compared, and a few more may differ by chance.
    model: the plain module; an optimized one stands for its original.
    inputs: what the model takes, e.g. images (N, 3, H, W); each run gets copies in its own dtype. A shape stands for
        random numbers.
    levels: also report every item of the plan whose result reaches memory; `passed` does not depend on these.
    Raises TypeError if `model` is no module, `fast` is not optimized or there are no inputs, ValueError if the two
    modules' results differ in number or shape, and what either module raises for these inputs.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"verify compares a module with optimize(module); the first one is a {type(model).__name__}")
    if not isinstance(fast, OptimizedModule):
        raise TypeError(f"verify compares a module with optimize(module); the second one is a {type(fast).__name__}")
    if not inputs:
        raise TypeError("verify runs both modules: give it their inputs too, or shapes such as (1, 3, 256, 192)")

    def drawn(x: Any) -> Any:
        return torch.randn(x, device=fast.device) if is_shape(x) else x

    given = tuple(pytree.tree_map(drawn, x, is_leaf=is_shape) for x in inputs)
    describe(given)
    return _verify(model, fast, *given, levels=levels)


def known_device(name: torch.device | str) -> torch.device:
    """The device of that name. ValueError if there is none here."""
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"{name!r} is no device: use cpu, cuda or cuda:1") from None
    if not _computes(device):
        raise ValueError(f"{str(name)!r} is no device that torch {torch.__version__} has here: use cpu, cuda or cuda:1")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise ValueError(f"there is no device {name}: torch {torch.__version__} sees {count} GPUs here")
    return device


def _computes(device: torch.device) -> bool:
    """Whether torch has such a device here; of GPUs the caller counts them."""
    if device.type in ("cpu", "cuda"):
        return True
    try:
        return not torch.empty(1, device=device).is_meta
    except Exception:  # each of the many kinds has its own error where it is missing
        return False


def _plan_assumed(fast: OptimizedModule) -> Plan:
    """The plan for inputs that nobody gave; where they do not suit the network, the error says what was assumed."""
    given = examples_of(unwrap(fast.original))[0]
    try:
        return fast.plan_for(*given)
    except ValueError:
        try:
            make_plan(fast.original, *given)
        except ValueError as error:
            shapes = pytree.tree_map(lambda x: tuple(x.shape), given[0])
            how = "example=(images, …), one for each argument" if " required positional " in str(error) else "example="
            raise PlanError(f"{error}; the input was taken to be {shapes}: give {how} if it is another") from error
        raise  # not of the plan: weights that hold NaN, for one
