"""What an executor is: the contract between a module, which makes plans, and whatever plays them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import Any

import torch
from torch import Tensor

from ..plan import Item, Level, Plan
from ..plan.cost import direct_cost
from .interpret import Watch
from .tuning.found import Tuning

Run = Callable[[Sequence[Tensor]], list[Tensor]]  # from inputs to results, both in the plan's order
Progress = Callable[[list[Any]], Iterable[Any]]  # wraps what is measured, e.g. in a progress bar


class NoChoice(RuntimeError):
    """An executor has no choice of kernels to measure; "auto" then asks its other candidates."""


class Executor(ABC):
    """Plays plans of one network, in one dtype on one device.

    It is made with the network's parameters and buffers by key. These it reads when plans are prepared, into folded and
    packed copies, and never writes; after a change of them the module makes a new executor. `choose.py` knows the
    executors by name and says which of them can play where. A new one defines `explain` and `prepare`.
    """

    name: str  # as `optimize` takes and `explain` shows it
    dtype: torch.dtype  # what it computes in, whatever dtype inputs have
    device: torch.device  # where inputs and results lie
    max_plans: int  # prepared plans that a module keeps, with the memory of each

    @abstractmethod
    def explain(self, plan: Plan, level: Level) -> tuple[str, str]:
        """Who plays a level of the plan, the name of an executor or "torch", and why and how."""

    @abstractmethod
    def prepare(self, plan: Plan, watch: Watch | None = None) -> Run:
        """A function that plays the plan; several threads may call it at once, in inference mode.

        It takes inputs of the plan's shapes in any floating dtype and memory format, and does not write to them. Its
        results are new tensors, as `empty_result` makes them, unless somebody watches.
        watch: called with each item and its result, once for each part of a batch that is played in parts, and not for
        an item whose result never reaches memory. The result is good until `watch` returns.
        Raises RuntimeError or ValueError with the reason where this plan cannot be played.
        """

    def map_bytes(self, plan: Plan) -> int | None:
        """Bytes that the maps of a plan share; None where they have no memory of their own, or it is not known."""
        return None

    def cost(self, plan: Plan, item: Item) -> tuple[int, int]:
        """Multiply-adds and elements moved by the kernel that plays an item."""
        return direct_cost(plan, item)

    def release(self) -> None:  # noqa: B027
        """Let go of what is kept for plans to come; those that were prepared keep what they need."""

    def tune(self, plan: Plan, progress: Progress = iter, again: bool = False, seconds: float = inf) -> Tuning[Any]:
        """Measures the kernels for a plan and keeps the best in the cache, where plans to come find them.

        again: measure what the cache has, too. seconds: after which nothing more is begun, on a GPU. Returns what was
        found, by signature; empty if everything was known.
        Raises NoChoice, or RuntimeError if it is this plan that leaves no choice.
        """
        raise self._no_choice("tune")

    def profile(self, plan: Plan) -> list[tuple[int, float]]:
        """(level, microseconds) of every level on a GPU; on a CPU `time_levels` finds them for every executor.

        Raises NoChoice if it does not play level by level.
        """
        raise self._no_choice("profile")

    def _no_choice(self, verb: str) -> NoChoice:
        return NoChoice(
            f"there is nothing to {verb}: the executor {self.name!r} on {self.device} has no choice of kernels, as "
            "'native' has on a CPU and 'triton' on a GPU"
        )
