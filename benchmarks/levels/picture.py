"""Levels as a picture: the time of each group beside its floor."""

from __future__ import annotations

import textwrap
from pathlib import Path

from matplotlib.axes import Axes

from benchmarks.levels.measure import Network
from benchmarks.levels.tables import groups, shortened, summary
from benchmarks.pictures import INK, OURS_COLOUR, RIVAL_COLOUR, bar_axes, page, panels, title, written
from benchmarks.sheet import Sheet

_MOST = 14  # groups shown; the others are one bar


def draw(sheet: Sheet, path: Path) -> Path:
    """Writes a PNG, one panel a network."""
    count = len(sheet.rows)
    figure = page(10, 0.5 + 4.1 * count, (0.1, 0.12))
    for panel, network in zip(panels(figure, count, 1), sheet.rows, strict=True):
        _panel(panel, network)
    return written(figure, path, textwrap.fill(sheet.identity, 190), at=0.06)


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
