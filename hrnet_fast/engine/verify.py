"""Is the fast module as exact as torch? Its error against float64, beside the plain module's own in the same dtype."""

from __future__ import annotations

import copy
import math
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from ..numerics import TOLERANCE_FACTOR, compare_outputs, judge
from ..plan import Item, Plan, inference_view, named_tensors
from .executor import Executor
from .executors.reference import ReferenceExecutor
from .module import OptimizedModule

FLOAT64 = 1e-12  # in float64 torch itself is the reference, so its own error cannot be measured


@dataclass(frozen=True)
class OutputError:
    """One result's errors against float64.

    error: relative L2 norm of the fast module's difference; of labels, the share that differs. error_torch: the same
    of the plain module in the same dtype; the larger one of its two memory formats, as oneDNN's channels-last kernels
    round more than its others.
    allowed: the largest `error` that passes.
    max_abs: the largest difference; at `worst_index`, `worst_value` was given instead of `worst_expected`.
    labels: how many labels these are, or masks, or numbers made of them alone; 0 where the error is a norm.
    """

    name: str
    error: float
    error_torch: float
    allowed: float
    max_abs: float
    worst_index: tuple[int, ...]
    worst_value: float
    worst_expected: float
    labels: int = 0

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
        shown = (*self.levels, *self.outputs)
        found = [_told(one) for one in shown]
        room = 100 - max(map(len, found))  # for names: these are cut before numbers are
        width = min(max(len(one.name) for one in shown), max(room, 27) - 1)
        rows = [f"{'value':<{width}} {_NUMBERS}"]
        for one, told in zip(shown, found):
            name = one.name if len(one.name) <= width else "…" + one.name[1 - width :]
            rows.append(f"{name:<{width}} {told}")
        verdict = "passed" if self.passed else "FAILED"
        rule = f"error against float64 at most {TOLERANCE_FACTOR:g}x torch's own in {self.dtype}"
        rows.append(f"{verdict}: {rule} (executor {self.executor})")
        return "\n".join(rows)


_NUMBERS = f"{'error':>8} {'torch':>8} {'ratio':>5}  worst element"


def _told(found: OutputError) -> str:
    """The columns of `_NUMBERS`."""
    ratio = found.error / found.error_torch if found.error_torch else float(found.error > 0)
    where = f"{found.worst_value:.4g} for {found.worst_expected:.4g} at {list(found.worst_index)}"
    if found.labels:
        differ = f"{round(found.error * found.labels)} of {found.labels} differ"
        where = f"{differ}, {where}" if found.error else differ
    return f"{found.error:>8.1e} {found.error_torch:>8.1e} {ratio:>5.2f}  {where}"


def verify(model: nn.Module, fast: OptimizedModule, *inputs: Any, levels: bool = False) -> VerifyReport:
    """Compare `fast` with `model` on these inputs; see `VerifyReport`.

    levels: also compare every item of the plan, next to plain torch operations that play the same plan in the same
    dtype. The first bad row names the item that goes wrong.
    """
    exact = _run_plain(model, torch.float64, inputs)
    plain = [_run_plain(model, fast.dtype, inputs)]
    with suppress(RuntimeError):  # of a `view`, which takes no channels-last maps: contiguous ones alone are its own
        plain.append(_run_plain(model, fast.dtype, inputs, torch.channels_last))
    with torch.no_grad():
        given = _tensors(fast(*_cast(inputs, fast.dtype)))
    plan = fast.plan_for(*inputs)
    every = list(enumerate(zip(given, exact, *plain, strict=True)))
    filled = [(index, results) for index, results in every if any(result.numel() for result in results)]
    outputs = tuple(
        compare(f"output {index}", *results, labels=plan.values[plan.outputs[index]].dtype is not None)
        for index, results in filled or every  # that all are empty is told
    )
    found = _verify_levels(fast, inputs) if levels else ()
    return VerifyReport(str(fast.dtype).removeprefix("torch."), fast.executor.name, outputs, found)


def _run_plain(
    model: nn.Module, dtype: torch.dtype, inputs: Sequence[Any], layout: torch.memory_format = torch.contiguous_format
) -> list[Tensor]:
    """The plain module's results in a dtype and memory format, on a copy."""
    original = model.original if isinstance(model, OptimizedModule) else model
    copied = copy.deepcopy(inference_view(original)).to(dtype)
    if layout == torch.channels_last:
        copied = copied.to(memory_format=layout)  # type: ignore[call-overload]  # which torch 2.11 does not tell
    with torch.no_grad():
        try:
            return _tensors(copied(*_cast(inputs, dtype, layout)))
        except RuntimeError:  # what it makes in float32 itself, as by `mask.float()`, may not go with its weights
            with _OneDtype(dtype):
                return _tensors(copied(*_cast(inputs, dtype, layout)))


class _OneDtype(TorchFunctionMode):
    """Whatever a module makes of floating point is in this dtype."""

    def __init__(self, dtype: torch.dtype):
        super().__init__()
        self.dtype = dtype

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        def cast(x: Any) -> Any:
            return x.to(self.dtype) if isinstance(x, Tensor) and x.is_floating_point() else x

        return pytree.tree_map(cast, function(*args, **(kwargs or {})))


def _tensors(results: Any) -> list[Tensor]:
    """Without those that are None."""
    return [result for result in pytree.tree_leaves(results) if result is not None]


def _cast(
    inputs: Sequence[Any], dtype: torch.dtype, layout: torch.memory_format = torch.contiguous_format
) -> tuple[Any, ...]:
    """Fresh copies in a dtype and memory format, so that no module can write to the caller's."""

    def cast(x: Tensor | None) -> Tensor | None:
        if x is None:
            return None
        memory_format = layout if x.dim() == 4 else torch.contiguous_format
        return x.detach().clone().to(dtype).contiguous(memory_format=memory_format)

    return pytree.tree_map(cast, tuple(inputs))


def compare(name: str, given: Tensor, exact: Tensor, *plain: Tensor, labels: bool = False) -> OutputError:
    """`given` and plain torch's results against `exact`, element by element in float64. labels: as `judge` takes it."""
    report = compare_outputs(given, exact)
    found = judge(given, exact, plain, labels)
    if not math.isfinite(found.own):
        raise ValueError(
            f"{name}: plain torch's results in {str(plain[0].dtype).removeprefix('torch.')} are not finite, so nothing "
            "can be compared with them: use other inputs, other weights or a wider dtype"
        )
    allowed = FLOAT64 if plain[0].dtype == torch.float64 and not found.shares else found.allowed
    worst = (report.max_abs, report.worst_index, report.got, report.want)
    return OutputError(name, found.error, found.own, allowed, *worst, exact.numel() if found.shares else 0)


def _verify_levels(fast: OptimizedModule, inputs: Sequence[Any]) -> tuple[OutputError, ...]:
    """Each item of the plan as the fast executor computes it, in float64, and in plain torch operations; without those
    whose results never reach memory."""
    plan = fast.plan_for(*inputs)
    leaves = _tensors(_cast(inputs, fast.dtype))
    tensors = named_tensors(fast.original)
    players = (
        fast.executor,
        ReferenceExecutor(tensors, torch.float64, fast.device),
        ReferenceExecutor(tensors, fast.dtype, fast.device),
    )
    level_of = {item.out: index for index, level in enumerate(plan.levels) for item in level.items}
    watched = [_results_of_items(player, plan, leaves) for player in players]
    seen = [item for item in plan.items() if all(item.out in made and made[item.out].numel() for made in watched)]
    return tuple(
        compare(
            f"level {level_of[item.out]}: {item.name}",
            *(results[item.out] for results in watched),
            labels=plan.values[item.out].dtype is not None,
        )
        for item in seen
    )


def _results_of_items(player: Executor, plan: Plan, leaves: Sequence[Tensor]) -> dict[int, Tensor]:
    """What an executor computes for the items whose results reach memory, by their values."""
    parts: defaultdict[int, list[Tensor]] = defaultdict(list)

    def watch(item: Item, result: Tensor) -> None:
        parts[item.out].append(result.clone())

    with torch.inference_mode():
        player.prepare(plan, watch)(leaves)
        return {value: torch.cat(found) if len(found) > 1 else found[0] for value, found in parts.items()}
