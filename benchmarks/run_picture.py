"""A run as a picture: one panel a case, one bar a runner."""

from __future__ import annotations

import textwrap
from pathlib import Path

from matplotlib.axes import Axes

from benchmarks.pictures import INK, MARKED_COLOUR, OURS_COLOUR, RIVAL_COLOUR, bar_axes, page, panels, title, written
from benchmarks.results import Row, Run
from benchmarks.runners.ours import OURS
from benchmarks.tables import by_speed, identity_of, our_row
from benchmarks.text import milliseconds


def draw(run: Run, path: Path) -> Path | None:
    """Writes a PNG of the median times; whiskers span the 10th to the 90th percentile. None if nothing was timed."""
    groups = [rows for rows in run.groups() if by_speed(rows)]
    if not groups:
        return None
    columns = min(2, len(groups))
    counts = [len(by_speed(rows)) for rows in groups]
    tallest = [max(counts[first : first + columns]) for first in range(0, len(counts), columns)]
    heights = [0.75 + 0.34 * bars for bars in tallest]
    height = sum(heights) + 0.75
    figure = page(5.6 * columns, height, (0.12, 0.1), below=0.42, dpi=150)
    found = panels(figure, len(groups), columns, height_ratios=heights)
    for place, (panel, rows) in enumerate(zip(found, groups, strict=True)):
        _panel(panel, rows)
        panel.set_ylim(tallest[place // columns] - 0.4, -0.6)
    return written(figure, path, textwrap.fill(identity_of(run), 112 * columns))


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
    names = [row.executor + ("" if row.status == "ok" else " (!)") for row in timed]
    bar_axes(panel, names, "median ms a call, from p10 to p90; 2x: twice as long as hrnet_fast", (8.5, 7.5, 7.5))
    for label, row in zip(panel.get_yticklabels(), timed, strict=True):
        label.set_weight("bold" if row.executor == OURS else "normal")
    panel.set_xlim(0, 1.28 * reach)
    first = rows[0]
    below = f"{first.case['size']}, batch {first.batch}, {first.dtype}"
    title(panel, first.case["model"], below, (10, 8.5), pad=4)


def _colour(row: Row) -> str:
    if row.executor == OURS:
        return OURS_COLOUR
    return RIVAL_COLOUR if row.status == "ok" else MARKED_COLOUR
