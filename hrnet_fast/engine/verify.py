"""Is the fast module as exact as torch? Its error against float64, beside the plain module's own in the same dtype."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ..plan import Item, inference_view, make_plan, named_tensors
from .executors.reference import ReferenceExecutor
from .module import OptimizedModule

FACTOR = 2.0  # the fast module's error may be at most this many times torch's own
FLOAT64 = 1e-12  # in float64 torch itself is the reference, so its own error cannot be measured


@dataclass(frozen=True)
class OutputError:
    """One result's errors against float64.

    error, error_torch: relative L2 norm of the difference, of the fast and of the plain module in the same dtype.
    allowed: what `error` may be.
    max_abs: the largest difference, at `worst_index`, where the fast module gave `worst_value` for `worst_expected`.
    """

    name: str
    error: float
    error_torch: float
    allowed: float
    max_abs: float
    worst_index: tuple[int, ...]
    worst_value: float
    worst_expected: float

    @property
    def passed(self) -> bool:
        return self.error <= self.allowed


@dataclass(frozen=True)
class VerifyReport:
    """What `verify` found. `print` it for a table; `passed` is the verdict over all outputs."""

    dtype: str
    executor: str
    outputs: tuple[OutputError, ...]
    levels: tuple[OutputError, ...] = ()

    @property
    def passed(self) -> bool:
        return all(output.passed for output in self.outputs)

    def __str__(self) -> str:
        rows = [f"{'value':<44} {'error':>10} {'torch':>10} {'ratio':>6}  worst element"]
        for found in (*self.levels, *self.outputs):
            ratio = found.error / found.error_torch if found.error_torch else float(found.error > 0)
            where = f"{found.worst_value:.6g} for {found.worst_expected:.6g} at {list(found.worst_index)}"
            errors = f"{found.error:>10.2e} {found.error_torch:>10.2e} {ratio:>6.2f}"
            rows.append(f"{found.name[-44:]:<44} {errors}  {where}")
        verdict = "passed" if self.passed else "FAILED"
        rule = f"error against float64 at most {FACTOR:g}x torch's own in {self.dtype}"
        rows.append(f"{verdict}: {rule} (executor {self.executor})")
        return "\n".join(rows)


def verify(model: nn.Module, fast: OptimizedModule, *inputs: Any, levels: bool = False) -> VerifyReport:
    """Compare `fast` with `model` on these inputs; see `VerifyReport`.

    levels: also play the plan in float64 and in the fast module's dtype with the reference executor, and report each
    item; it tells a fault of the plan from one of a kernel.
    """
    exact = _run_plain(model, torch.float64, inputs)
    plain = _run_plain(model, fast.dtype, inputs)
    with torch.no_grad():
        given = pytree.tree_leaves(fast(*_cast(inputs, fast.dtype)))
    outputs = tuple(
        compare(f"output {index}", y, e, p) for index, (y, e, p) in enumerate(zip(given, exact, plain, strict=True))
    )
    found = _verify_levels(model, fast, inputs) if levels else ()
    return VerifyReport(str(fast.dtype).split(".")[1], fast.executor.name, outputs, found)


def _run_plain(model: nn.Module, dtype: torch.dtype, inputs: Sequence[Any]) -> list[Tensor]:
    """The plain module's results in another dtype, on a copy."""
    original = model.original if isinstance(model, OptimizedModule) else model
    copied = copy.deepcopy(inference_view(original)).to(dtype)
    with torch.no_grad():
        return pytree.tree_leaves(copied(*_cast(inputs, dtype)))


def _cast(inputs: Sequence[Any], dtype: torch.dtype) -> tuple[Any, ...]:
    """Fresh copies in another dtype, so that no module can write to the caller's."""
    return pytree.tree_map(lambda x: x.detach().clone().to(dtype), tuple(inputs))


def compare(name: str, given: Tensor, exact: Tensor, plain: Tensor) -> OutputError:
    """`given` and `plain` against `exact`, element by element in float64."""
    difference = (given.double() - exact).abs()
    flat = int(torch.nan_to_num(difference, nan=float("inf")).argmax())
    index = tuple(int(i) for i in torch.unravel_index(torch.tensor(flat), exact.shape))
    return OutputError(
        name,
        relative_l2(given, exact),
        own := relative_l2(plain, exact),
        FLOAT64 if plain.dtype == torch.float64 else FACTOR * own,
        float(difference.flatten()[flat]),
        index,
        float(given[index]),
        float(exact[index]),
    )


def relative_l2(given: Tensor, exact: Tensor) -> float:
    """|given - exact| / |exact|, in float64; infinite where `given` is not finite."""
    error = float((given.double() - exact.double()).norm() / exact.double().norm().clamp_min(1e-300))
    return error if error == error else float("inf")


def _verify_levels(model: nn.Module, fast: OptimizedModule, inputs: Sequence[Any]) -> tuple[OutputError, ...]:
    """Each item of the plan, played in float64 and in the fast module's dtype by plain torch operations."""
    plan = make_plan(fast.original, *inputs)
    leaves = pytree.tree_leaves(inputs)
    level_of = {item.out: index for index, level in enumerate(plan.levels) for item in level.items}
    watched: dict[int, list[Tensor]] = {}

    def watch(item: Item, result: Tensor) -> None:
        watched.setdefault(item.out, []).append(result.detach().clone())

    with torch.inference_mode():
        for dtype in (torch.float64, fast.dtype):
            ReferenceExecutor(named_tensors(fast.original), dtype, fast.device).run(plan, leaves, watch)
    return tuple(
        compare(f"{level_of[item.out]}: {item.name}", low, exact, low)
        for item in plan.items()
        for exact, low in [watched[item.out]]
    )
