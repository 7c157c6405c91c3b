"""Measures which kernels are the fastest for a model on this machine, and keeps that in the user's cache, where every
later `optimize` finds it: on a CPU the algorithm of each 3x3 convolution, for as many threads as are used, and only if
the whole network gains; on a GPU how its levels are best cut into tiles. What is known already is not measured again
unless it is asked for, as after a measurement on a busy machine. The defaults are good without it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from math import isfinite
from typing import TYPE_CHECKING, Any

from ..arguments import UsageError, add_device, add_input, add_model, model_name, positive
from ..output import Result
from ..progress import progress_bar

if TYPE_CHECKING:
    from hrnet_fast.engine.tuning.found import Tuning

HELP = "measure the fastest kernels on this machine"
EXAMPLES = (
    "hrnet-fast tune hrnet_w32.pose_coco_256x192",
    "hrnet-fast tune hrnet_w32.pose_coco_256x192 --batch 16 --threads 2 --device cpu",
    "hrnet-fast tune hrnet_w48.seg_cityscapes --size 1024x2048 --dtype bfloat16 --device cuda:1",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    add_input(parser)
    add_device(parser, default=None)
    parser.add_argument("--again", action="store_true", help="measure what is known already, too")
    parser.add_argument(
        "--seconds", type=positive, metavar="S", help="GPU only: stop after about S seconds; run again to continue"
    )


def run(args: argparse.Namespace) -> Result:
    import torch

    from hrnet_fast import optimize
    from hrnet_fast.engine.tuning.cache import cache_folder

    from ..models import device, filled_model, images, torch_dtype

    args.device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    on_gpu = device(args).type == "cuda"
    if args.seconds and not on_gpu:
        raise UsageError("--seconds limits the tuning on a GPU; on a CPU all is tuned or nothing: leave it out")
    model = filled_model(args)
    x = images(args, model)
    fast = optimize(model, dtype=torch_dtype(args), example=x)
    found = fast.tune(x, progress=_with_bar, again=args.again, seconds=args.seconds)
    data = {"model": model_name(args), "cache": str(cache_folder())}
    if on_gpu:
        return _levels(data, found)
    return _convolutions(data, found)


def _with_bar(steps: list[Any]) -> Iterator[Any]:
    with progress_bar("tuning", len(steps), "step") as advance:
        for step in steps:
            yield step
            advance(1)


def _levels(data: dict[str, Any], found: Tuning[Any]) -> Result:
    rows: list[dict[str, Any]] = [
        {"level": name, "model_us": _microseconds(each.model_time), "us": _microseconds(each.time)}
        for name, each in found.items()
    ]
    data = {**data, "levels": rows, "left": found.left}
    left = f"{found.left} levels are left for another run" if found.left else ""
    if not rows:
        return Result(data, left or f"every level was measured before; the results lie in {data['cache']}")
    lines = [f"{'level':<78} {'before':>9} {'now':>9}"]
    lines += [f"{row['level'][:78]:<78} {_time(row['model_us'])} {_time(row['us'])}" for row in rows]
    timed = [row for row in rows if None not in row.values()]
    before, now = (sum(row[key] for row in timed) for key in ("model_us", "us"))
    lines.append(f"{len(timed)} levels: {before:.1f} us -> {now:.1f} us, each once; kept in {data['cache']}")
    return Result(data, "\n".join([*lines, left] if left else lines))


def _microseconds(time: float) -> float | None:
    return round(time, 2) if isfinite(time) else None


def _time(us: float | None) -> str:
    """None: of a choice that the GPU refused."""
    return f"{'refused':>9}" if us is None else f"{us:>7.2f}us"


def _convolutions(data: dict[str, Any], found: Any) -> Result:
    rows = [
        {"convolution": name, "before": _kernel(each.before), "before_us": round(each.before_time, 2),
         "tuned": _kernel(each.choice), "us": round(each.time, 2), "gain": round(each.before_time / each.time, 3)}
        for name, each in found.items()
    ]  # fmt: skip
    duel = found.network
    network = duel and {"before_ms": duel.old / 1e3, "ms": duel.new / 1e3, "ratio": duel.ratio}
    data = {**data, "convolutions": rows, "network": network, "kept": found.kept}
    if not rows:
        return Result(data, f"every convolution was measured before; the results lie in {data['cache']}")
    lines = [f"{'convolution':<32} {'before':<14} {'':>11}   {'tuned':<14} {'':>11} {'gain':>7}"]
    lines += [
        f"{_short(row['convolution']):<32} {row['before']:<14} {row['before_us']:>9.1f}us   "
        f"{row['tuned']:<14} {row['us']:>9.1f}us {row['gain']:>6.2f}x"
        for row in rows
    ]
    return Result(data, "\n".join([*lines, _verdict(duel, data["cache"])]))


def _verdict(duel: Any, cache: str) -> str:
    if duel is None:
        return f"no kernel is clearly faster than those of before\nkept in {cache}"
    times = f"{duel.old / 1e3:.2f} ms -> {duel.new / 1e3:.2f} ms"
    ratio = f"{duel.ratio:.3f}x as fast, faster in {duel.wins} of {duel.rounds} rounds"
    return f"the whole network: {times}, {ratio}\n" + (
        f"kept in {cache}" if duel.gained else "not kept, as that is no clear gain"
    )


def _kernel(kernel: Any) -> str:
    return f"F({kernel.m}x{kernel.m}) by {kernel.group}" if kernel.m else "direct"


def _short(signature: str) -> str:
    """Without the dtype and the kernels that were allowed."""
    return signature.removeprefix("float32 ").partition(",")[0]
