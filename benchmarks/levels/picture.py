"""Levels as a picture: the time of each group beside its floor."""

from __future__ import annotations

import textwrap
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.levels.measure import Network
from benchmarks.levels.tables import groups, shortened, summary
from benchmarks.plot import FAINT, INK, OURS_COLOUR, RIVAL_COLOUR
from benchmarks.sheet import Sheet

_MOST = 14  # groups shown; the others are one bar


def draw(sheet: Sheet, path: Path) -> Path:
    """Writes a PNG, one panel a network."""
    count = len(sheet.rows)
    height = 0.5 + 4.1 * count
    figure = Figure(figsize=(10, height), dpi=130, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.12, rect=(0, 0.4 / height, 1, 1 - 0.4 / height))
    for panel, network in zip(figure.subplots(count, 1, squeeze=False).flatten(), sheet.rows, strict=True):
        _panel(panel, network)
    footer = textwrap.fill(sheet.identity, 190)
    figure.text(0.012, 0.06 / height, footer, fontsize=6.5, color=FAINT, va="bottom", ha="left")
    figure.savefig(path, metadata={"Software": None})
    return path


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
    panel.set_yticks(places, [name for name, *_ in bars])
    panel.invert_yaxis()
    panel.set_xlim(0, 1.15 * max(max(times) for _, *times in bars) / 1e3)
    panel.tick_params(axis="y", length=0, labelsize=7, labelcolor=INK)
    panel.tick_params(axis="x", labelsize=7, color=FAINT, labelcolor=FAINT)
    panel.set_xlabel("ms of a call", fontsize=7, color=FAINT)
    panel.legend(loc="center right", fontsize=7, frameon=False)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.spines["bottom"].set_color(FAINT)
    panel.set_title(f"{network.title}\n\n", fontsize=9, color=INK, loc="left", weight="bold", pad=2)
    told = textwrap.fill(summary(network), 105)
    panel.text(0, 1.02, told, transform=panel.transAxes, fontsize=6.5, color=FAINT, va="bottom")
