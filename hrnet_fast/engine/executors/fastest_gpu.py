"""The fastest executor on a GPU: each candidate is built, checked against float64 and timed once for each plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from math import inf
from time import monotonic

import torch
from torch import Tensor

from hrnet_fast import kernels

from ...numerics import TOLERANCE_FACTOR, judge
from ...plan import Plan
from ..executor import Executor, NoChoice, Progress, Run
from ..gpu.cudnn_settings import cudnn_set
from ..gpu.device_key import DeviceKey, device_key
from ..gpu.tape import on_device
from ..gpu.timing import isolated
from ..gpu.tune import TileTuning
from ..interpret import Watch
from ..tuning.cache import TuningCache
from .fastest import FastestExecutor, Verdict
from .reference import ReferenceExecutor

Clock = Callable[[Callable[[], object]], float]


class FastestGpuExecutor(FastestExecutor):
    """Measures its candidates once for each plan, and plays it by the fastest one that is as exact as torch.

    tensors: the module's parameters and buffers by key. candidates: in the order of preference. clock: microseconds of
    a run. cache: of winners, which are built and checked, but not timed again with the same candidates and the same
    compiled extension. A candidate that fails to build or to run, or whose error against float64 is above twice that
    of torch's own operations, is refused; `verdict` tells why.
    Raises RuntimeError with all reasons where none is left.
    """

    max_plans = 16

    def __init__(
        self, tensors: Mapping[str, Tensor], dtype: torch.dtype, device: torch.device,
        candidates: Sequence[Executor], clock: Clock = isolated, cache: TuningCache | None = None,
        key: DeviceKey | None = None,
    ):  # fmt: skip
        super().__init__({candidate.name: candidate for candidate in candidates})
        self.tensors, self.dtype, self.device, self.clock = tensors, dtype, device, clock
        self.cache, self.key = cache or TuningCache(), key or (device_key(device) if device.type == "cuda" else None)

    def prepare(self, plan: Plan, watch: Watch | None = None) -> Run:
        if watch is not None:
            return self.winner(plan).prepare(plan, watch)
        signature = self._signature(plan)
        with torch.inference_mode(), on_device(self.device):
            contest = Contest(plan, self._inputs(plan), self.tensors, self.dtype, self.device)
            run = self._remembered(contest, signature) or self._measure(contest, signature)
        self._let_losers_go()
        return run

    def tune(self, plan: Plan, progress: Progress = iter, again: bool = False, seconds: float = inf) -> TileTuning:
        """Tunes every candidate that has tiles; what they found by "name: signature". seconds: shared among them."""
        found, tuned, deadline = TileTuning(), 0, monotonic() + seconds
        for done, (name, candidate) in enumerate(self.candidates.items()):
            share = (deadline - monotonic()) / (len(self.candidates) - done)
            with suppress(NoChoice):
                own = candidate.tune(plan, progress, again, share)
                found |= {f"{name}: {key}": each for key, each in own.items()}
                found.left += own.left
                tuned += 1
                candidate.release()
        if not tuned:
            raise self._no_choice("tune")
        if found:
            self.forget(plan)
        return found

    def profile(self, plan: Plan) -> list[tuple[int, float]]:
        """Of the first candidate that plays level by level."""
        for candidate in self.candidates.values():
            with suppress(NoChoice):
                return candidate.profile(plan)
        raise self._no_choice("profile")

    def forget(self, plan: Plan) -> None:
        """Measure this plan again when it is next prepared, in this process or a later one."""
        super().forget(plan)
        if self.key:
            self.cache.put(self.key, "executors", self._signature(plan), {})

    def _remembered(self, contest: Contest, signature: str) -> Run | None:
        """The winner of an earlier measurement among the same candidates, if it still passes the check."""
        entry = (self.cache.get(self.key, "executors", signature) if self.key else None) or {}
        name = entry.get("executor")
        if name not in self.candidates or any(entry.get(key) != own for key, own in self._premises().items()):
            return None
        run, _ = contest.enter(self.candidates[name])
        if run is None:
            return None
        times = {each: time for each, time in entry.get("us", {}).items() if isinstance(time, (int, float))}
        self._verdicts[signature] = Verdict(name, times or {name: float("nan")})
        return run

    def _measure(self, contest: Contest, signature: str) -> Run:
        best: Run | None = None
        winner = ""
        times: dict[str, float] = {}
        refused: dict[str, str] = {}
        for name, candidate in self.candidates.items():
            run, refused[name] = contest.enter(candidate)
            if run is not None:
                times[name] = self.clock(partial(run, contest.inputs))
                if best is None or times[name] < times[winner]:
                    best, winner = run, name
        refused = {name: why for name, why in refused.items() if why}
        if best is None:
            raise self._nobody_plays(contest.plan, refused)
        self._verdicts[signature] = Verdict(winner, times, refused)
        if self.key:
            rounded = {name: round(time, 2) for name, time in times.items()}
            entry = {"executor": winner, "us": rounded, **self._premises()}
            self.cache.put(self.key, "executors", signature, entry)
        return best

    def _premises(self) -> dict[str, object]:
        """What an entry of the cache must have been measured with; the key covers the rest."""
        return {"candidates": sorted(self.candidates), "extension": kernels.extension().digest[:12]}

    def _inputs(self, plan: Plan) -> list[Tensor]:
        """Normal values, the same for every contest of a shape."""
        generator = torch.Generator(device=self.device).manual_seed(0)
        shapes = [plan.values[value].shape for value in plan.inputs]
        return [torch.randn(s, generator=generator, device=self.device).to(self.dtype) for s in shapes]


class Contest:
    """One plan on one set of inputs: what is right, and which candidates are."""

    def __init__(
        self, plan: Plan, inputs: Sequence[Tensor], tensors: Mapping[str, Tensor], dtype: torch.dtype,
        device: torch.device,
    ):  # fmt: skip
        self.plan, self.inputs = plan, inputs
        try:
            with cudnn_set(benchmark=False):  # trials take long in float64, and memory
                self.exact = ReferenceExecutor(tensors, torch.float64, device).run(plan, inputs)
                self.plain = ReferenceExecutor(tensors, dtype, device).run(plan, inputs)
        except torch.cuda.OutOfMemoryError as error:
            raise RuntimeError(
                "the GPU's memory does not suffice to check executors against float64 for this input shape: use a "
                f"smaller batch or image, or name one, e.g. executor='triton' ({error})"
            ) from error
        self.labels = [plan.values[value].dtype is not None for value in plan.outputs]

    def enter(self, candidate: Executor) -> tuple[Run | None, str]:
        """The candidate's run, or None and why it is refused."""
        try:
            run = candidate.prepare(self.plan)
            given = run(self.inputs)
        except Exception as error:  # whatever goes wrong in one candidate, the next one may do
            first_line = str(error).strip().partition("\n")[0]
            return None, f"{type(error).__name__}: {first_line}"
        for result, want, plain, labels in zip(given, self.exact, self.plain, self.labels):
            found = judge(result, want, [plain], labels)
            if not found.error <= found.allowed:
                return None, (
                    f"its error {found.error:.1e} is above {found.allowed:.1e}, {TOLERANCE_FACTOR:g}x torch's own"
                )
        return run, ""
