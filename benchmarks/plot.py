"""Results as a picture: one panel a case, one bar a runner."""

from __future__ import annotations

import textwrap
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.results import Row, Run
from benchmarks.runners.ours import OURS
from benchmarks.tables import by_speed, identity_of, our_row
from benchmarks.text import milliseconds

OURS_COLOUR, RIVAL_COLOUR, MARKED_COLOUR = "#0b6e4f", "#b8c4cc", "#e3c7a0"
INK, FAINT = "#1f2a30", "#6b7880"


def draw(run: Run, path: Path) -> Path | None:
    """Writes a PNG of the median times; whiskers span the 10th to the 90th percentile. None if nothing was timed."""
    groups = [rows for rows in run.groups() if by_speed(rows)]
    if not groups:
        return None
    columns = min(2, len(groups))
    lines = -(-len(groups) // columns)
    counts = [len(by_speed(rows)) for rows in groups]
    tallest = [max(counts[first : first + columns]) for first in range(0, len(counts), columns)]
    heights = [0.75 + 0.34 * bars for bars in tallest]
    height = sum(heights) + 0.75
    figure = Figure(figsize=(5.6 * columns, height), dpi=150, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1, rect=(0, 0.42 / height, 1, 1 - 0.42 / height))
    panels = figure.subplots(lines, columns, squeeze=False, height_ratios=heights).flatten()
    for place, (panel, rows) in enumerate(zip(panels, groups, strict=False)):
        _panel(panel, rows)
        panel.set_ylim(tallest[place // columns] - 0.4, -0.6)
    for panel in panels[len(groups) :]:
        panel.axis("off")
    footer = textwrap.fill(identity_of(run), 112 * columns)
    figure.text(0.012, 0.1 / height, footer, fontsize=6.5, color=FAINT, va="bottom", ha="left")
    figure.savefig(path, metadata={"Software": None})
    return path


def _panel(panel: Axes, rows: list[Row]) -> None:
    timed, ours = by_speed(rows), our_row(rows)
    medians = [row.p50_us / 1e3 for row in timed]
    places = range(len(timed))
    whiskers = [
        [max(0.0, row.p50_us - row.p10_us) / 1e3 for row in timed],
        [max(0.0, row.p90_us - row.p50_us) / 1e3 for row in timed],
    ]
    panel.barh(places, medians, height=0.66, color=[_colour(row) for row in timed])
    panel.errorbar(medians, places, xerr=whiskers, fmt="none", ecolor=INK, elinewidth=0.8, capsize=2)
    reach = max(row.p90_us for row in timed) / 1e3
    for place, row in zip(places, timed, strict=True):
        ratio = f"  {row.p50_us / ours.p50_us:.2f}x" if ours and row is not ours else ""
        end = max(row.p90_us, row.p50_us) / 1e3 + 0.015 * reach
        weight = "bold" if row.executor == OURS else "normal"
        panel.text(end, place, milliseconds(row.p50_us) + ratio, va="center", fontsize=8, color=INK, weight=weight)
    panel.set_yticks(places, [row.executor + ("" if row.status == "ok" else " (!)") for row in timed])
    for label, row in zip(panel.get_yticklabels(), timed, strict=True):
        label.set_weight("bold" if row.executor == OURS else "normal")
    panel.set_xlim(0, 1.28 * reach)
    panel.tick_params(axis="y", length=0, labelsize=8.5, labelcolor=INK)
    panel.tick_params(axis="x", labelsize=7.5, color=FAINT, labelcolor=FAINT)
    panel.set_xlabel("median ms a call, from p10 to p90; 2x: twice as long as hrnet_fast", fontsize=7.5, color=FAINT)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.spines["bottom"].set_color(FAINT)
    first = rows[0]
    panel.set_title(f"{first.case['model']}\n", fontsize=10, color=INK, loc="left", weight="bold", pad=4)
    detail = f"{first.case['size']}, batch {first.batch}, {first.dtype}"
    panel.text(0, 1.02, detail, transform=panel.transAxes, fontsize=8.5, color=FAINT, va="bottom")


def _colour(row: Row) -> str:
    if row.executor == OURS:
        return OURS_COLOUR
    return RIVAL_COLOUR if row.status == "ok" else MARKED_COLOUR
