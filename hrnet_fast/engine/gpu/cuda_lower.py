"""From a Plan to launches of the CUDA level kernel: what it knows, its tiles, its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from hrnet_fast.kernels.bordered import BorderedMap, padded_channels
from hrnet_fast.kernels.cuda_level import (
    MOST_TERMS,
    CudaChain,
    CudaConv,
    CudaLaunch,
    CudaTile,
    CudaWork,
    in_launches,
    level_digest,
    pack_granules,
)
from hrnet_fast.kernels.level import SumWork

from ...plan import Conv, Item, Level, Plan, Sum
from ...plan.fold import fold
from .chains import Chain
from .cuda_chain_problem import ChainProblem, ChainTile
from .cuda_problem import CudaProblem
from .cuda_tiles import Tile, choose
from .gpu import Gpu
from .layout import Memory
from .lower import Lowering


@dataclass(frozen=True)
class CudaChoice:
    """A tile for each convolution of a level, and for each chain of them, in its order."""

    tiles: tuple[Tile, ...]

    def as_entry(self) -> dict[str, Any]:
        """For the cache: readable, a list of steps for a chain; and the kernel that it holds for."""
        return {
            "kernel": level_digest()[:12],
            "tiles": [
                [*map(_entry, tile.steps)] if isinstance(tile, ChainTile) else _entry(tile) for tile in self.tiles
            ],
        }


def _entry(tile: CudaTile) -> dict[str, Any]:
    return {**asdict(tile), "warps": list(tile.warps)}


class CudaLowering(Lowering):
    """Makes the steps of plans on the CUDA level kernel. Weights are folded and packed once a convolution.

    tensors: the module's parameters and buffers by key. overlap: let each launch begin while the one before it ends.
    op: what computes a launch; see `CudaLaunch`.
    """

    work = CudaConv

    def __init__(
        self, tensors: Mapping[str, Tensor], dtype: torch.dtype, device: torch.device, overlap: bool,
        op: Callable[..., None] | None = None,
    ):  # fmt: skip
        super().__init__(tensors, dtype, device, "tf32", overlap)
        self.op = op

    def unsupported_item(self, item: Item, plan: Plan) -> str | None:
        if why := super().unsupported_item(item, plan):
            return why
        if isinstance(item, (Conv, Sum)) and len(item.terms) + len(getattr(item, "sources", ())) > MOST_TERMS:
            return f"{item.name} adds more than {MOST_TERMS} maps"
        if isinstance(item, Conv):
            geometry = (item.conv.kernel, item.conv.stride, item.conv.padding)
            if any(y != x for y, x in geometry) or item.conv.kernel[0] not in (1, 3) or item.conv.stride[0] > 2:
                return f"{item.name} is not a square 1x1 or 3x3 convolution of stride 1 or 2"
        return None

    def problem(self, item: Conv | Chain, plan: Plan) -> CudaProblem | ChainProblem:
        if isinstance(item, Conv):
            return self._conv_problem(item, plan)
        steps = tuple(replace(self._conv_problem(each, plan), early=False) for each in item.items)
        kept = item.keeps_its_source
        return ChainProblem(steps, kept, bool(item.terms) and item.terms[0].resize is None and not kept)

    def _conv_problem(self, item: Conv, plan: Plan) -> CudaProblem:
        n, channels, height, width = plan.values[item.out].shape
        inputs = plan.values[item.sources[0].value].shape[1]
        early = bool(item.terms) and item.terms[0].resize is None
        return CudaProblem(
            n, height, width, padded_channels(channels), padded_channels(inputs), item.conv.kernel[0],
            item.conv.stride[0], self.dtype.itemsize, early, item.has_prologue,
        )  # fmt: skip

    def signature(self, plan: Plan, level: Level) -> str:
        parts, tiled = [str(self.dtype).removeprefix("torch.")], self.tiled(plan, level)
        for item in tiled:
            own = self.problem(item, plan)
            steps = own.steps if isinstance(own, ChainProblem) else (own,)
            shapes = ">".join(f"{s.in_channels}-{s.channels}k{s.kernel}s{s.stride}" for s in steps)
            sources = () if isinstance(item, Chain) else item.sources
            modes = "".join("=" if t.resize is None else t.resize.mode[0] for t in (*sources, *item.terms))
            kept = "k" if isinstance(own, ChainProblem) and own.kept else ""
            parts.append(f"{steps[-1].batch}x{steps[-1].height}x{steps[-1].width} {shapes}{modes}{kept}")
        rest = len(level.items) - len(tiled)
        return "; ".join(parts) + (f" +{rest}" if rest else "")

    def model_choice(self, plan: Plan, level: Level, gpu: Gpu) -> CudaChoice:
        return CudaChoice(choose(self.problems(plan, level), gpu))

    def _can_form(self, work: CudaConv) -> bool:
        return work.tile.stages == work.chunks  # the kernel forms a source at once

    def _length(self, work: CudaConv | CudaChain) -> int:
        if isinstance(work, CudaChain):
            return sum(map(self._length, work.steps))
        return work.sources[0].map.channels * work.kernel[0] ** 2 // work.tile.warps[2]

    def _conv(self, item: Conv | Chain, memory: Memory, tile: Any) -> CudaConv | CudaChain:
        if isinstance(item, Conv):
            return super()._conv(item, memory, tile)
        nowhere = torch.empty(0, dtype=self.dtype, device=self.device)
        between = {each.out: BorderedMap(nowhere, shape) for each, shape in zip(item.items, item.shapes)}
        known = replace(memory, maps={**memory.maps, **between})
        steps = tuple(super(CudaLowering, self)._conv(each, known, own) for each, own in zip(item.items, tile.steps))
        return CudaChain(steps, item.keeps_its_source)

    def _launches(
        self, formed: list[SumWork], works: list[CudaWork], choice: CudaChoice, overlap: bool
    ) -> list[CudaLaunch]:
        parts = [*in_launches(formed), *in_launches(works)]
        return [CudaLaunch(part, overlap, self.op) for part in parts]

    def _weights(self, item: Conv, tile: CudaTile) -> tuple[Tensor, Tensor]:
        key = (item.conv, item.norm)
        if key not in self._packed:
            weight, bias = pack_granules(*fold(item, self.tensors), self.dtype)
            self._packed[key] = weight.to(self.device), bias.to(self.device)
        return self._packed[key]
