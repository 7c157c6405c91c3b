"""The tolerance rule, and how far outputs are from the wanted ones, with the worst element by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

TOLERANCE_FACTOR = 2.0  # as flash-attention's tests: at most twice the error of plain PyTorch in the same dtype


def flatten_outputs(outputs: object) -> list[Tensor]:
    """The tensors of an output, in order: a tensor, an array, or any nesting of lists, tuples and dicts of them.

    Errors: TypeError for anything else, None among it.
    """
    if isinstance(outputs, Tensor):
        return [outputs]
    if isinstance(outputs, np.ndarray):
        return [torch.from_numpy(outputs)]
    if isinstance(outputs, Mapping):
        outputs = outputs.values()
    if isinstance(outputs, str) or not isinstance(outputs, Iterable):
        raise TypeError(f"a model's output must be tensors, or lists or dicts of tensors, not {type(outputs).__name__}")
    return [tensor for item in outputs for tensor in flatten_outputs(item)]


def relative_l2(got: object, want: object) -> float:
    """||got - want|| / ||want|| in float64 over all outputs together; infinite if anything in `got` is not finite, and
    NaN if anything in `want` is not."""
    return compare_outputs(got, want).error


def within_tolerance(error: float, error_torch: float) -> bool:
    """The rule of every number: at most twice plain PyTorch's own error, both against float64. NaN never passes."""
    return error <= TOLERANCE_FACTOR * error_torch


@dataclass(frozen=True)
class Judgement:
    """An output's error, plain PyTorch's own, and what is allowed: of relative L2 norms, or of shares that differ."""

    error: float
    own: float
    allowed: float
    shares: bool = False


def judge(got: Tensor, want: Tensor, plain: Iterable[Tensor], labels: bool = False) -> Judgement:
    """The tolerance rule for one output. plain: PyTorch's results, of which the worst counts.

    labels: it is made of labels and masks alone. Where PyTorch has most of them right, the share that differs counts,
    to which chance may add three standard deviations of so few, but half of them have to be right.
    """
    plain = list(plain)
    own = max(_share_that_differs(each, want) for each in plain) if labels else 1.0
    if own <= 0.5 / TOLERANCE_FACTOR:
        twice = TOLERANCE_FACTOR * own * want.numel()
        allowed = min((twice + 3 * (twice + 1) ** 0.5) / want.numel(), 0.5)
        return Judgement(_share_that_differs(got, want), own, allowed, True)
    own = max(relative_l2(each, want) for each in plain)
    return Judgement(relative_l2(got, want), own, TOLERANCE_FACTOR * own)


def _share_that_differs(got: Tensor, want: Tensor) -> float:
    return float((got.cpu() != want.cpu()).double().mean())


@dataclass(frozen=True)
class ErrorReport:
    """How far outputs are from the wanted ones; `str` names the worst element.

    error: relative L2 over all outputs; max_abs: largest absolute difference; worst_output, worst_index: where that is.
    """

    error: float
    max_abs: float
    worst_output: int
    worst_index: tuple[int, ...]
    got: float
    want: float
    shapes: tuple[tuple[int, ...], ...]

    def __str__(self) -> str:
        place = list(self.worst_index)
        which = f"output {self.worst_output}, " if len(self.shapes) > 1 else ""
        shape = list(self.shapes[self.worst_output])
        return (
            f"relative L2 error {self.error:.2e}; the worst element is {which}{place} of {shape}: "
            f"got {self.got:.6g}, want {self.want:.6g}"
        )


def meeting_place(ours: torch.device, theirs: torch.device) -> torch.device:
    """Where two outputs are compared: on the GPU that holds both, since a CPU takes a minute for all levels of a large
    network; else on the CPU, as not every device knows float64."""
    return ours if ours == theirs and ours.type == "cuda" else torch.device("cpu")


def compare_outputs(got: object, want: object) -> ErrorReport:
    """Compares outputs element by element in float64.

    got, want: tensors, arrays, or nestings of them with equal shapes; any dtypes and devices.
    Errors: ValueError if the numbers of outputs or their shapes differ, or if there is nothing to compare; TypeError
    for complex numbers and for what `flatten_outputs` refuses.
    """
    got, want = flatten_outputs(got), flatten_outputs(want)
    shapes = tuple(tuple(tensor.shape) for tensor in want)
    got_shapes = tuple(tuple(tensor.shape) for tensor in got)
    if got_shapes != shapes:
        raise ValueError(f"the outputs have shapes {list(got_shapes)}, but {list(shapes)} were wanted")
    if not any(tensor.numel() for tensor in want):
        raise ValueError(f"nothing to compare: the outputs have shapes {list(shapes)}")
    difference_sq = want_sq = 0.0
    worst = (-1.0, 0, 0)
    for position, (ours, theirs) in enumerate(zip(got, want, strict=True)):
        if not theirs.numel():
            continue
        place = meeting_place(ours.device, theirs.device)
        ours, theirs = ours.detach().to(place, torch.float64), theirs.detach().to(place, torch.float64)
        difference = (ours - theirs).abs().nan_to_num(nan=float("inf"), posinf=float("inf"))
        difference_sq += float(difference.square().sum())
        want_sq += float(theirs.square().sum())
        flat = int(difference.argmax())
        worst = max(worst, (float(difference.flatten()[flat]), position, flat), key=lambda entry: entry[0])
    max_abs, position, flat = worst
    index = tuple(int(i) for i in np.unravel_index(flat, shapes[position]))
    value, wanted = (float(tensors[position][index].item()) for tensors in (got, want))
    error = (difference_sq / want_sq) ** 0.5 if want_sq else (0.0 if difference_sq == 0 else float("inf"))
    return ErrorReport(error, max_abs, position, index, value, wanted, shapes)
