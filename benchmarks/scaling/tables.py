"""Scaling as text: each series with its time an image and its rate; and the steepest step of each."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.scaling.measure import Point
from benchmarks.sheet import Sheet
from benchmarks.text import aligned, grouped, markdown_table, milliseconds, wrapped

WHAT = (
    "How the time of an image depends on batch and size, for hrnet_fast alone. Its numbers were checked at a small "
    "size before anything was timed. The work of a point is counted as direct convolutions, whatever the kernel."
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
    """One line a series: its first, middle and last point, its steepest step, and the longest `optimize`."""
    lines = []
    for points in series(sheet):
        shown = dict.fromkeys((points[0], points[len(points) // 2], points[-1]))
        times = ", ".join(f"{place(point)}: {milliseconds(point.us_per_image)}" for point in shown)
        slowest = max(point.optimize_s for point in points)
        lines.append([title(points), times, f"{worst(points):.2f}x", f"{slowest:.2f}"])
    return markdown_table(
        ["scaling", "ms an image", "steepest step of the time per FLOP", "optimize s, at most"], lines
    )


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
