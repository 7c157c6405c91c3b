"""What tests and benchmarks share: the tolerance rule, a report that names the worst element, timers, ugly shapes."""

from __future__ import annotations

import ctypes
import gc
import random
import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

TOLERANCE_FACTOR = 2.0  # as flash-attention's tests: at most twice the error of plain PyTorch in the same dtype


def flatten_outputs(outputs: object) -> list[Tensor]:
    """The tensors of an output, in order: a tensor, an array, or any nesting of lists, tuples and dicts of them."""
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
    """||got - want|| / ||want|| in float64 over all outputs together; infinite if anything in `got` is not finite."""
    return compare_outputs(got, want).error


def within_tolerance(error: float, error_torch: float) -> bool:
    """The rule of every number: at most twice plain PyTorch's own error, both against float64. NaN never passes."""
    return error <= TOLERANCE_FACTOR * error_torch


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


def compare_outputs(got: object, want: object) -> ErrorReport:
    """Compares outputs element by element in float64.

    got, want: tensors, arrays, or nestings of them with equal shapes; any dtypes and devices.
    Errors: ValueError if the numbers of outputs or their shapes differ, or if there is nothing to compare.
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
        ours, theirs = ours.detach().to("cpu", torch.float64), theirs.detach().to("cpu", torch.float64)
        difference = (ours - theirs).abs().nan_to_num(nan=float("inf"))
        difference_sq += float(difference.square().sum())
        want_sq += float(theirs.square().sum())
        flat = int(difference.argmax())
        worst = max(worst, (float(difference.flatten()[flat]), position, flat), key=lambda entry: entry[0])
    max_abs, position, flat = worst
    index = tuple(int(i) for i in np.unravel_index(flat, shapes[position]))
    values = (float(tensors[position][index]) for tensors in (got, want))
    error = (difference_sq / want_sq) ** 0.5 if want_sq else (0.0 if difference_sq == 0 else float("inf"))
    return ErrorReport(error, max_abs, position, index, *values, shapes)


def assert_close(got: object, want: object, error_torch: float) -> None:
    """AssertionError that names the worst element, unless `got` is within twice `error_torch` of the float64 `want`."""
    report = compare_outputs(got, want)
    if not within_tolerance(report.error, error_torch):
        limit = TOLERANCE_FACTOR * error_torch
        raise AssertionError(f"{report}; at most {limit:.2e} is allowed, twice plain PyTorch's {error_torch:.2e}")


def fill_weights(model: nn.Module) -> nn.Module:
    """Fills every tensor of the state dict from its key and shape alone, in place, and returns the model in eval mode.

    Convolutions get He's normal initialisation; norms get scales below one, so that sums of many residual blocks
    neither overflow 16-bit types nor fade into denormals, which some CPUs compute slowly.
    """
    with torch.no_grad():
        for key, tensor in model.state_dict().items():
            tensor.copy_(_values(key, tensor))
    return model.eval()


class without_init(TorchFunctionMode):
    """Leaves new parameters as they were allocated: drawing them costs a second, and `fill_weights` writes others."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        name = getattr(function, "__name__", "")
        if name in ("normal_", "uniform_") or getattr(function, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return function(*args, **(kwargs or {}))


def _values(key: str, like: Tensor) -> Tensor:
    if not like.is_floating_point():
        return torch.zeros_like(like)
    generator = torch.Generator().manual_seed(zlib.crc32(key.encode()))
    shape = tuple(like.shape)
    if like.dim() >= 2:
        fan_in = like[0].numel()
        return torch.randn(shape, generator=generator) * (2.0 / fan_in) ** 0.5
    if key.endswith("running_var"):
        return torch.empty(shape).uniform_(0.5, 1.5, generator=generator)
    if key.endswith("weight"):
        return torch.empty(shape).uniform_(0.3, 0.7, generator=generator)
    return torch.randn(shape, generator=generator) * 0.1


@dataclass(frozen=True)
class ShapeCase:
    """An activation [N, C, H, W] that a kernel must take."""

    batch: int
    channels: int
    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.batch}x{self.channels}x{self.height}x{self.width}"


# HRNet's own widths, of which 18, 36, 44 and 30 fit no vector; odd, tiny and one-pixel maps; and a batch of many.
SHAPE_CASES = (
    ShapeCase(1, 32, 64, 48), ShapeCase(1, 256, 8, 6), ShapeCase(2, 18, 17, 13), ShapeCase(1, 36, 9, 31),
    ShapeCase(3, 44, 7, 5), ShapeCase(1, 30, 1, 1), ShapeCase(1, 72, 1, 9), ShapeCase(16, 16, 8, 8),
    ShapeCase(1, 3, 33, 65), ShapeCase(1, 1, 5, 3),
)  # fmt: skip


def percentile(samples: Sequence[float], q: float) -> float:
    """The q-th percentile (0..100) by linear interpolation; ValueError if there are no samples."""
    if not len(samples):
        raise ValueError("no samples to take a percentile of")
    return float(np.percentile(np.asarray(samples, dtype=np.float64), q))


@dataclass(frozen=True)
class Timing:
    """Seconds of each timed call of one runner."""

    samples: list[float] = field(default_factory=list)

    def microseconds(self, q: float) -> float:
        return 1e6 * percentile(self.samples, q)


def interleave(
    calls: Mapping[str, Callable[[], object]],
    *,
    budget_s: float,
    min_rounds: int = 3,
    calls_per_turn: int = 3,
    turn_s: float = 0.5,
    seed: int = 0,
    progress: Callable[[float], None] = lambda fraction: None,
) -> dict[str, Timing]:
    """Times the calls in turns, so that a machine that drifts or is disturbed troubles all of them alike.

    Each round plays every call once in a new random order. A turn is one untimed call, which refills the caches and
    outlasts what the previous runner's threads still do, then up to `calls_per_turn` timed ones, until `turn_s` seconds
    are spent on them. Rounds go on until `budget_s` seconds are spent, but at least `min_rounds` times.
    A call must itself wait for its device (`torch.cuda.synchronize`).
    progress: gets the share of the work done, 0..1, after each turn.
    """
    timings = {name: Timing() for name in calls}
    order = list(calls)
    shuffle = random.Random(seed).shuffle
    start, rounds = time.perf_counter(), 0
    while calls and (rounds < min_rounds or time.perf_counter() - start < budget_s):
        shuffle(order)
        for turn, name in enumerate(order):
            call = calls[name]
            call()
            turn_start = time.perf_counter()
            for _ in range(calls_per_turn):
                before = time.perf_counter()
                call()
                after = time.perf_counter()
                timings[name].samples.append(after - before)
                if after - turn_start > turn_s:
                    break
            by_rounds = (rounds + (turn + 1) / len(order)) / min_rounds
            by_time = (time.perf_counter() - start) / budget_s if budget_s > 0 else 1.0
            progress(min(1.0, by_rounds, by_time))
        rounds += 1
    progress(1.0)
    return timings


class PeakMemory:
    """What a runner adds in memory: what it holds and what its calls need, not what its building needed for a while.

    Make one before the build, call `building_done`, run the runner, and read `bytes`.
    CUDA: torch's allocator, exact for tensors, blind to what other libraries allocate.
    CPU (Linux): growth of the process's peak resident memory, all libraries included. It is an estimate: what a runner
    takes from memory that earlier ones freed to the C library but not to the system is missing from it, and what a
    compiler keeps in the process after its work is part of it. On other systems `bytes` is None.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.before = self._reset()

    def building_done(self) -> None:
        self._reset()

    def bytes(self) -> int | None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
            peak = torch.cuda.max_memory_allocated(self.device)
        else:
            peak = _status_bytes("VmHWM")
        return None if peak is None or self.before is None else max(0, peak - self.before)

    def _reset(self) -> int | None:
        """Sets the peak to what is in use now, and returns that."""
        gc.collect()
        if self.device.type != "cuda":
            return _reset_peak_resident()
        torch.cuda.synchronize(self.device)
        torch.cuda.reset_peak_memory_stats(self.device)
        return torch.cuda.memory_allocated(self.device)


def _status_bytes(key: str) -> int | None:
    """VmRSS (resident now) or VmHWM (its peak) from /proc/self/status."""
    try:
        with open("/proc/self/status") as file:
            return next((int(line.split()[1]) * 1024 for line in file if line.startswith(f"{key}:")), None)
    except OSError:
        return None


def _reset_peak_resident() -> int | None:
    """Gives freed memory back to the system, sets VmHWM to VmRSS (proc(5), clear_refs 5), and returns it."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except (OSError, AttributeError):
        return None
    return _status_bytes("VmRSS")
