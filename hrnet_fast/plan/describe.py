"""The Plan as a table that fits a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from .cost import multiply_adds
from .ir import Concat, Conv, Function, Item, Level, Plan, Sum, Term, Value

WIDTH = 100


def format_plan(plan: Plan) -> str:
    """Level by level: items, what they do, result shapes, costs, executor; reasons as notes at the foot."""
    reasons = list(dict.fromkeys(level.reason for level in plan.levels if level.reason))
    titles = ("", "item", "operation", "result", "FLOP", "bytes", "roof", "by")
    lines = [*_head(plan), "", _row(*titles), "-" * WIDTH]
    for index, level in enumerate(plan.levels):
        lines += _level(plan, index, level, reasons)
    lines.append("-" * WIDTH)
    total = Level((), *(sum(getattr(v, cost) for v in plan.levels) for cost in ("flops", "bytes", "roofline_us")))
    lines.append(_row("all", f"{len(plan.levels)} levels", "", "", *_cost(total), ""))
    lines += [f"[{number}] {reason}" for number, reason in enumerate(reasons, 1)]
    return "\n".join(lines)


def summary(plan: Plan) -> str:
    """One line: how many levels, items and multiply-adds."""
    items = list(plan.items())
    convs = sum(isinstance(item, Conv) for item in items)
    gmac = sum(multiply_adds(item, plan) for item in items) / 1e9
    return f"{len(plan.levels)} levels, {len(items)} items ({convs} convolutions), {gmac:.2f} G multiply-adds"


def _head(plan: Plan) -> Iterator[str]:
    ins, outs = (", ".join(map(_described, (plan.values[v] for v in ends))) for ends in (plan.inputs, plan.outputs))
    yield f"{plan.name}: {ins} -> {outs}"
    yield summary(plan) + (f"; maps share {plan.map_bytes / 1e6:.1f} MB" if plan.map_bytes else "")
    if plan.machine:
        yield f"bytes in {plan.dtype}; roof: best time of {plan.machine}"


def _level(plan: Plan, index: int, level: Level, reasons: list[str]) -> Iterator[str]:
    by = level.executor + (f" [{reasons.index(level.reason) + 1}]" if level.reason else "")
    for position, item in enumerate(level.items):
        last = position == len(level.items) - 1
        yield _row(
            str(index) if position == 0 else "",
            item.name,
            operation(item, plan),
            _shape(plan.values[item.out].shape[1:]),
            *(_cost(level) if last else ("", "", "")),
            by if last else "",
        )


def _cost(level: Level) -> tuple[str, str, str]:
    time = level.roofline_us * 1e-6
    return _scaled(level.flops), _scaled(level.bytes), f"{_scaled(time)}s" if time else ""


def _scaled(value: float) -> str:
    """Three or four digits with an SI prefix: 42.5M, 873G, 8.08m."""
    for power, prefix in zip(range(4, -4, -1), "TGMk mun"):
        scaled = value / 1000.0**power
        if scaled >= 1:
            return f"{scaled:.{2 if scaled < 10 else 1 if scaled < 100 else 0}f}{prefix}".rstrip()
    return "0"


def _row(level: str, item: str, what: str, result: str, flops: str, size: str, time: str, by: str) -> str:
    name = item if len(item) <= 27 else "…" + item[-26:]
    what = what if len(what) <= 20 else what[:19] + "…"
    return f"{level:>4} {name:<27} {what:<20} {result:<12} {flops:>6} {size:>6} {time:>7} {by}".rstrip()


def _described(value: Value) -> str:
    own = "" if value.dtype is None else " " + str(value.dtype).removeprefix("torch.")
    return _shape(value.shape) + own


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def operation(item: Item, plan: Plan) -> str:
    """What an item does, in a few signs: `3x3/2 32>64 +2 relu`: a strided convolution, two summands and a ReLU;
    `3x3^2`: one that computes a transposed convolution of stride 2, four pixels beside each other."""
    if isinstance(item, Conv):
        kernel = "x".join(map(str, item.conv.kernel)) + (f"/{item.conv.stride[0]}" if item.conv.stride[0] > 1 else "")
        kernel += f"^{item.conv.transposed.stride}" if item.conv.transposed else ""
        channels = f"{plan.values[item.sources[0].value].shape[1]}>{plan.values[item.out].shape[1]}"
        inner = f"({_terms(item.sources)}{' relu' if item.source_relu else ''}) " if item.has_prologue else ""
        relu = {"none": "", "last": " relu", "first": ""}[item.relu]
        early = "relu " if item.relu == "first" else ""
        return f"{kernel} {inner}{channels} {early}{_terms(item.terms)}".rstrip() + relu
    if isinstance(item, Sum):
        return f"sum {_terms(item.terms)}{' relu' if item.relu else ''}"
    if isinstance(item, Concat):
        return f"concat {_terms(item.parts)}"
    assert isinstance(item, Function)
    return " ".join(call.function.split(".")[-1] for call in item.calls)


def _terms(terms: tuple[Term, ...]) -> str:
    """`+2^1`: two summands as they are, one interpolated."""
    plain = sum(term.resize is None for term in terms)
    resized = len(terms) - plain
    return (f"+{plain}" if plain else "") + (f"^{resized}" if resized else "")
