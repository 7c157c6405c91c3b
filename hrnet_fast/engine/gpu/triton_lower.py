"""From a Plan to launches of the Triton kernel: its tiles, its weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor

from hrnet_fast.kernels.bordered import padded_channels
from hrnet_fast.kernels.level import ConvWork, Launch, SumWork, Tile, Work, pack_weight

from ...plan import Concat, Conv, Level, Plan, Sum
from ...plan.fold import fold
from .gpu import Gpu
from .lower import Lowering
from .triton_tiles import Problem, choose, stages


@dataclass(frozen=True)
class TileChoice:
    """How a level's kernel is tiled: a tile for each convolution in the level's order, and steps in flight."""

    tiles: tuple[Tile, ...]
    stages: int

    def as_entry(self) -> dict[str, Any]:
        """For the cache: readable."""
        return {"tiles": [asdict(tile) for tile in self.tiles], "stages": self.stages}


class TritonLowering(Lowering):
    """Makes the steps of plans on the Triton kernel. Weights are packed once for each tile that asks for them."""

    work = ConvWork

    def problem(self, item: Conv, plan: Plan) -> Problem:
        """The item as a matrix product over padded channels."""
        n, c, h, w = plan.values[item.out].shape
        k = prod(item.conv.kernel) * padded_channels(plan.values[item.sources[0].value].shape[1])
        exact = self.dtype == torch.float32 and self.precision == "ieee"
        resized = any(term.resize is not None for term in item.terms)
        formed = item.has_prologue and self.dtype != torch.float32
        return Problem(n * h * w, padded_channels(c), k, self.dtype.itemsize, exact, formed, resized)

    def signature(self, plan: Plan, level: Level) -> str:
        parts = [str(self.dtype).removeprefix("torch.") + (" " + self.precision if self.dtype == torch.float32 else "")]
        for item in self.tiled(plan, level):
            p, conv = self.problem(item, plan), item.conv
            modes = "".join("=" if t.resize is None else t.resize.mode[0] for t in (*item.sources, *item.terms))
            parts.append(f"{p.pixels}x{p.channels}x{p.k}k{conv.kernel[0]}s{conv.stride[0]}{modes}")
        rest = sum(isinstance(item, (Sum, Concat)) for item in level.items)
        return " ".join(parts) + (f" +{rest}" if rest else "")

    def model_choice(self, plan: Plan, level: Level, gpu: Gpu) -> TileChoice:
        problems = self.problems(plan, level)
        if not problems:
            return TileChoice((), 2)
        tiles = choose(problems, gpu)
        return TileChoice(tiles, stages(tiles, self.dtype.itemsize, gpu))

    def _can_form(self, work: ConvWork) -> bool:
        return self.dtype != torch.float32  # else too much for a thread's registers

    def _length(self, work: ConvWork) -> int:
        return work.weight.shape[1] // work.tile.split

    def _launches(self, formed: list[SumWork], works: list[Work], choice: TileChoice, overlap: bool) -> list[Launch]:
        launches = [Launch(formed, stages=2, pdl=overlap)] if formed else []
        if works:
            launches.append(Launch(works, stages=choice.stages, precision=self.precision, pdl=overlap))
        return launches

    def _weights(self, item: Conv, tile: Tile) -> tuple[Tensor, Tensor]:
        key = (item.conv, item.norm, tile.columns, tile.step * tile.split)
        if key not in self._packed:
            weight, bias = pack_weight(*fold(item, self.tensors), tile, self.dtype, self.precision)
            self._packed[key] = weight.to(self.device), bias.to(self.device)
        return self._packed[key]
