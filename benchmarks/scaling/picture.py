"""Scaling as a picture: the time of an image over the batch, and of a megapixel over the size."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes

from benchmarks.pictures import FAINT, INK, OURS_COLOUR, page, panels, written
from benchmarks.scaling.measure import Point
from benchmarks.scaling.tables import place, series, title
from benchmarks.sheet import Sheet


def draw(sheet: Sheet, path: Path) -> Path:
    """Writes a PNG, one panel a series."""
    found = series(sheet)
    figure = page(10.5, 0.5 + 2.7 * -(-len(found) // 2), (0.12, 0.12))
    for panel, points in zip(panels(figure, len(found), 2), found, strict=True):
        _panel(panel, points)
    return written(figure, path, textwrap.fill(sheet.identity, 200), at=0.06)


def _panel(panel: Axes, points: Sequence[Point]) -> None:
    by_batch = points[0].along == "batch"
    across = [point.batch if by_batch else _megapixels(point) for point in points]
    times = [point.us_per_image / 1e3 / (1 if by_batch else _megapixels(point)) for point in points]
    panel.plot(across, times, "o-", color=OURS_COLOUR, markersize=4, linewidth=1.4)
    for x, y, point, peak in zip(across, times, points, _peaks(times), strict=True):
        panel.annotate(
            place(point).removeprefix("batch "), (x, y), (0, 6 if peak else -11), textcoords="offset points",
            fontsize=6, color=FAINT, ha="center",
        )  # fmt: skip
    panel.set_xscale("log", base=2)
    panel.xaxis.set_major_formatter("{x:.3g}")
    panel.set_ylim(0, 1.25 * max(times))
    panel.set_xlabel("images a call" if by_batch else "megapixels", fontsize=7, color=FAINT)
    panel.set_ylabel("ms an image" if by_batch else "ms a megapixel", fontsize=7, color=FAINT)
    panel.tick_params(labelsize=7, color=FAINT, labelcolor=INK)
    panel.spines[["top", "right"]].set_visible(False)
    panel.set_title(title(points), fontsize=8, color=INK, loc="left", weight="bold")


def _peaks(times: Sequence[float]) -> list[bool]:
    """Whether a point lies above its neighbours' mean: there its name goes, where the line does not cross it. The ends
    go where the name next to them does not."""
    inner = [2 * time > before + after for before, time, after in zip(times, times[1:], times[2:], strict=False)]
    ends = [not inner[0], not inner[-1]] if inner else [True, True]
    return [ends[0], *inner, ends[1]][: len(times)]


def _megapixels(point: Point) -> float:
    height, width = map(int, point.size.split("x"))
    return height * width / 1e6
