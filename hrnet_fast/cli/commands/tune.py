"""Measures on this GPU how the levels of a model are best cut into tiles, and keeps that in the user's cache, where
every later `optimize` finds it. What is known already is not measured again. The defaults are good without it."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from typing import Any

from ..arguments import add_device, add_input, add_model
from ..output import Result
from ..progress import progress_bar

HELP = "measure the kernels' tiles on this GPU"
EXAMPLES = (
    "hrnet-fast tune hrnet_w32.pose_coco_256x192 --dtype float16",
    "hrnet-fast tune hrnet_w48.seg_cityscapes --size 1024x2048 --dtype bfloat16 --device cuda:1",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    add_input(parser)
    add_device(parser, default="cuda")


def run(args: argparse.Namespace) -> Result:
    from hrnet_fast import optimize

    from ..models import images, random_model, torch_dtype

    model = random_model(args)
    x = images(args, model)
    fast = optimize(model, dtype=torch_dtype(args), executor="triton" if args.device != "cpu" else "auto", example=x)
    found = fast.tune(x, progress=_with_bar)
    rows = [
        {"level": name, "model_us": round(each.model_time, 2), "us": round(each.time, 2)}
        for name, each in found.items()
    ]
    where = str(fast.executor.cache.folder)
    return Result({"model": model.config.name, "cache": where, "levels": rows}, _table(rows, where))


def _with_bar(levels: list[Any]) -> Iterator[Any]:
    with progress_bar("tuning", len(levels), "level") as advance:
        yield from _advancing(levels, advance)


def _advancing(levels: Iterable[Any], advance: Any) -> Iterator[Any]:
    for level in levels:
        yield level
        advance(1)


def _table(rows: list[dict[str, Any]], where: str) -> str:
    if not rows:
        return f"every level was measured before; the results lie in {where}"
    lines = [f"{'level (pixels x channels x K)':<78} {'before':>9} {'now':>9}"]
    lines += [f"{row['level'][:78]:<78} {row['model_us']:>7.2f}us {row['us']:>7.2f}us" for row in rows]
    before, now = (sum(row[key] for row in rows) for key in ("model_us", "us"))
    return "\n".join([*lines, f"{len(rows)} levels: {before:.1f} us -> {now:.1f} us, each once; kept in {where}"])
