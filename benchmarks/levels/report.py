"""What a reader sees of levels: equal ones together, the longest first, each beside its floor; and a picture."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes

from benchmarks.levels.measure import Network
from benchmarks.pictures import INK, OURS_COLOUR, RIVAL_COLOUR, bar_axes, page, panels, title, written
from benchmarks.sheet import Sheet
from benchmarks.text import WIDTH, aligned, grouped, markdown_table, wrapped

_WIDE = 47  # characters of what a level does
_HEAD = ("levels", "ms", "share", "us each", "compute", "memory", "x floor", "GFLOP/s")
WHAT = (
    "Every level of hrnet_fast's plan, timed one by one, beside its floors in us. Compute: for the FLOPs of its "
    "kernels (Winograd's are fewer) at the machine's rate; memory: for their weights and maps, each moved once at its "
    "rate. Both rates are measured in the same run; a machine that drifts, or maps still in the caches, can beat them "
    "by a little. GFLOP/s are counted as direct convolutions, whatever the kernel. 22x 3x3 32@64x48 64>256@32x24: 22 "
    "levels with 3x3 convolutions of 32 channels into maps of 64x48, and of 64 into 256 into maps of 32x24."
)


@dataclass(frozen=True)
class Group:
    """Equal levels: how many, and their sums in microseconds and FLOPs."""

    what: str
    how: str
    count: int
    us: float
    flops: int
    compute_us: float
    memory_us: float

    @property
    def floor_us(self) -> float:
        return max(self.compute_us, self.memory_us)


def groups(network: Network) -> list[Group]:
    """The longest first."""
    equal = grouped(network.levels, lambda level: (level["what"], level["how"]))
    made = [Group(levels[0]["what"], levels[0]["how"], len(levels), *_sums(levels)) for levels in equal]
    return sorted(made, key=lambda group: -group.us)


def _sums(levels: Iterable[dict]) -> tuple:
    return tuple(sum(level[name] for level in levels) for name in ("us", "flops", "compute_us", "memory_us"))


def terminal_table(sheet: Sheet) -> str:
    lines = wrapped(sheet.identity)
    for network in sheet.rows:
        lines += ["", network.title, *wrapped(network.roofline, "  ", "  "), ""]
        found = groups(network)
        total = sum(group.us for group in found)
        head, *shown = aligned([_HEAD, *(_line(group, total) for group in found)])
        lines.append(head)
        how = ""
        for group, line in zip(found, shown, strict=True):
            lines.append(line)
            if group.how != how:
                lines += wrapped(group.how, " " * 6, " " * 6)
            how = group.how
        lines += ["", *(f"  {text}" for text in textwrap.wrap(summary(network), WIDTH - 2))]
    return "\n".join([*lines, "", *wrapped(WHAT)])


def summary(network: Network) -> str:
    """What all levels take together, beside the whole network and the floors."""
    found = groups(network)
    floor, total = sum(group.floor_us for group in found), sum(group.us for group in found)
    compute = sum(group.compute_us for group in found)
    whole = network.whole_us
    return (
        f"{len(network.levels)} levels one by one {total / 1e3:.2f} ms, the whole network {whole / 1e3:.2f} ms; "
        f"floors {floor / 1e3:.2f} ms ({whole / floor:.2f}x), of computing alone {compute / 1e3:.2f} ms "
        f"({whole / compute:.2f}x). Error {network.error:.1e}, plain torch's {network.error_torch:.1e}."
    )


def markdown(sheet: Sheet, most: int = 8) -> str:
    """For docs/speed.md: the longest groups of the first network as a table, and a line for each network."""
    network = sheet.rows[0]
    found = groups(network)
    total = sum(group.us for group in found)
    lines = []
    for group in found[:most]:
        us, compute, memory = (f"{us / group.count:.0f}" for us in (group.us, group.compute_us, group.memory_us))
        cells = [f"{group.us / 1e3:.2f}", f"{group.us / total:.0%}", us, f"{compute}, {memory}", _rate(group)]
        lines.append([shortened(f"{group.count}x {compact(group.what)}", _WIDE), *cells])
    table = markdown_table(["longest levels", "ms", "share", "us", "floors", "GFLOP/s"], lines)
    sums = [f"- {one.title}: {summary(one)} Rates: {one.roofline}." for one in sheet.rows]
    return "\n\n".join([f"**{network.title}**", table, "\n".join(sums)])


def compact(what: str) -> str:
    """'3x3 32@64x48 16>64@32x24' for '3x3 32>32 64x48, 3x3 16>64 32x24': each kind of item once, channels@size."""
    kinds: list[list[str]] = []
    for part in what.split(", "):
        found = re.fullmatch(r"(.+) (?:(\d+)>(?=\2 ))?([\d>]+) (\d+x\d+)", part)
        kind, item = (found[1], f"{found[3]}@{found[4]}") if found else (part, "")
        if kinds and kinds[-1][0] == kind:
            kinds[-1].append(item)
        else:
            kinds.append([kind, item])
    return ", ".join(" ".join(words).rstrip() for words in kinds)


def shortened(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _line(group: Group, total: float) -> list[str]:
    times = f"{group.us / group.floor_us:.2f}" if group.floor_us else "-"
    each = (group.us, group.compute_us, group.memory_us)
    return [
        shortened(f"{group.count}x {compact(group.what)}", _WIDE - 6),
        f"{group.us / 1e3:.2f}", f"{group.us / total:.0%}",
        *(f"{us / group.count:.0f}" for us in each), times, _rate(group),
    ]  # fmt: skip


def _rate(group: Group) -> str:
    return f"{group.flops / group.us / 1e3:.0f}" if group.flops else "-"


_MOST = 14  # groups shown; the others are one bar


def draw(sheet: Sheet, path: Path) -> Path:
    """Writes a PNG, one panel a network."""
    count = len(sheet.rows)
    figure = page(10, 0.5 + 4.1 * count, (0.1, 0.12))
    for panel, network in zip(panels(figure, count, 1), sheet.rows, strict=True):
        _panel(panel, network)
    return written(figure, path, sheet.identity, wide=190, at=0.06)


def _panel(panel: Axes, network: Network) -> None:
    found = groups(network)
    bars = [(f"{g.count}x {shortened(g.what, 64)}", g.us, g.compute_us, g.memory_us) for g in found[:_MOST]]
    if rest := found[_MOST:]:
        sums = (sum(values) for values in zip(*[(g.us, g.compute_us, g.memory_us) for g in rest], strict=True))
        bars.append((f"{sum(g.count for g in rest)} other levels", *sums))
    places = range(len(bars))
    panel.barh(places, [us / 1e3 for _, us, *_ in bars], height=0.74, color=RIVAL_COLOUR, label="measured")
    panel.barh(places, [bar[2] / 1e3 for bar in bars], height=0.36, color=OURS_COLOUR, label="floor of computing")
    marks = [bar[3] / 1e3 for bar in bars]
    panel.plot(
        marks, places, "|", color=INK, markersize=11, markeredgewidth=1.4, label="floor of memory, without caches"
    )
    for place, (_, us, compute, memory) in enumerate(bars):
        panel.text(max(us, compute, memory) / 1e3, place, f"  {us / 1e3:.2f}", va="center", fontsize=7, color=INK)
    bar_axes(panel, [name for name, *_ in bars], "ms of a call", (7, 7, 7))
    panel.invert_yaxis()
    panel.set_xlim(0, 1.15 * max(max(times) for _, *times in bars) / 1e3)
    panel.legend(loc="center right", fontsize=7, frameon=False)
    title(panel, f"{network.title}\n", textwrap.fill(summary(network), 105), (9, 6.5), pad=2)
