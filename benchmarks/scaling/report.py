"""What a reader sees of scaling: each series, its steepest step, and a picture of time over batch and size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes

from benchmarks.pictures import FAINT, INK, OURS_COLOUR, page, panels, written
from benchmarks.scaling.measure import Point
from benchmarks.sheet import Sheet
from benchmarks.text import aligned, grouped, markdown_table, milliseconds, short_name, wrapped

WHAT = (
    "How the time of an image depends on batch and size, for hrnet_fast alone. Its numbers were checked at a small "
    "size before anything was timed. Steepest: how much longer a FLOP takes, at most, than at a point with less work, "
    "counted as direct convolutions, whatever the kernel. Optimize: its longest call, for one of these inputs."
)
_HEAD = ("", "ms/image", "ms", "GFLOP/s", "optimize s", "first call s", "calls")


def series(sheet: Sheet) -> list[list[Point]]:
    """The points, one list a model, dtype and direction, the least work first."""
    found = grouped(sheet.rows, lambda point: (point.model, point.dtype, point.along))
    return [sorted(points, key=lambda point: point.gflop) for points in found]


def terminal_table(sheet: Sheet) -> str:
    lines = wrapped(sheet.identity)
    for points in series(sheet):
        lines += ["", title(points), *aligned([_HEAD, *map(_line, points)])]
        lines += wrapped(steepest(points), "  ", "  ")
    errors = [f"{model} {error:.1e} (plain torch {torch:.1e})" for model, error, torch in _errors(sheet)]
    told = f"Errors at a small size: {'; '.join(errors)}."
    return "\n".join([*lines, "", *wrapped(f"{WHAT} {told}")])


def markdown(sheet: Sheet) -> str:
    """Of each series its first, middle and last point, its steepest step, and the longest `optimize`."""
    lines = []
    for points in series(sheet):
        told = [f"{worst(points):.2f}x", f"{max(point.optimize_s for point in points):.2f}"]
        for point in dict.fromkeys((points[0], points[len(points) // 2], points[-1])):
            name = f"{short_name(point.model)}, {point.dtype}" if told else ""
            lines.append([name, point.size, str(point.batch), milliseconds(point.us_per_image), *(told or ["", ""])])
            told = []
    return markdown_table(["series", "input", "batch", "ms an image", "steepest", "optimize s"], lines)


def title(points: Sequence[Point]) -> str:
    first = points[0]
    return f"{first.model}, {first.dtype}, " + (f"by batch at {first.size}" if first.along == "batch" else "by size")


def place(point: Point) -> str:
    return f"batch {point.batch}" if point.along == "batch" else point.size


def worst(points: Sequence[Point]) -> float:
    """How much longer a FLOP takes than at the cheapest point with less work: 1 where work only gets cheaper."""
    best, found = points[0].rate, 1.0
    for point in points:
        found, best = max(found, best / point.rate), max(best, point.rate)
    return found


def steepest(points: Sequence[Point]) -> str:
    return f"a FLOP takes at most {worst(points):.2f}x what it takes at a point with less work"


def _line(point: Point) -> list[str]:
    times = [milliseconds(point.us_per_image), milliseconds(point.us), f"{point.rate:.0f}"]
    return [place(point), *times, f"{point.optimize_s:.2f}", f"{point.first_s:.2f}", str(point.samples)]


def _errors(sheet: Sheet) -> list[tuple[str, float, float]]:
    return list(dict.fromkeys((f"{p.model} {p.dtype}", p.error, p.error_torch) for p in sheet.rows))


def draw(sheet: Sheet, path: Path) -> Path:
    """Writes a PNG, one panel a series."""
    found = series(sheet)
    figure = page(10.5, 0.5 + 2.7 * -(-len(found) // 2), (0.12, 0.12))
    for panel, points in zip(panels(figure, len(found), 2), found, strict=True):
        _panel(panel, points)
    return written(figure, path, sheet.identity, wide=200, at=0.06)


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
