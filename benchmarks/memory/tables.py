"""Memory as text: the table of a terminal and that of docs/speed.md."""

from __future__ import annotations

from benchmarks.memory.measure import Row
from benchmarks.runners import OURS
from benchmarks.sheet import Sheet
from benchmarks.text import markdown_table, wrapped

WHAT = (
    "Memory that a fresh process takes beyond its imports. peak: from the plain module (which ours keeps, and OpenVINO "
    "and ONNX Runtime release) through building to the third run; running: peak of the runs alone; kept: after them."
)


def cases(sheet: Sheet) -> list[list[Row]]:
    """The rows, one list a case."""
    by_case: dict[tuple, list[Row]] = {}
    for row in sheet.rows:
        by_case.setdefault(row.case, []).append(row)
    return list(by_case.values())


def terminal_table(sheet: Sheet) -> str:
    lines = wrapped(sheet.identity)
    for rows in cases(sheet):
        lines += ["", title(rows[0]), _columns("", "peak MB", "running", "kept", "peak of ours is", "error")]
        ours = next((row.peak for row in rows if row.runner == OURS), None)
        for row in rows:
            if row.peak is None:
                lines += wrapped(f"{row.runner}: {row.status}: {row.reason}", "  ", "      ")
                continue
            ratio = f"{ours / row.peak:.2f}x this" if ours and row.runner != OURS else ""
            sizes = (_mb(size) for size in (row.peak, row.running, row.kept))
            lines.append(_columns(row.runner, *sizes, ratio, f"{row.error:.1e}"))
    return "\n".join([*lines, "", *wrapped(WHAT)])


def markdown(sheet: Sheet) -> str:
    """Peak and what is kept of each runner, one line a case."""
    runners = list(dict.fromkeys(row.runner for row in sheet.rows if row.peak is not None))
    lines = []
    for rows in cases(sheet):
        by_runner = {row.runner: row for row in rows}
        lines.append([title(rows[0]), *(_cell(by_runner.get(runner)) for runner in runners)])
    return markdown_table(["peak MB (kept after the call)", *runners], lines)


def title(row: Row) -> str:
    return f"{row.model}, {row.size}, batch {row.batch}, {row.dtype}"


def _cell(row: Row | None) -> str:
    if row is None or row.peak is None:
        return "-"
    peak = f"**{_mb(row.peak)}**" if row.runner == OURS else _mb(row.peak)
    return f"{peak} ({_mb(row.kept)})"


def _mb(size: int) -> str:
    return f"{size / 1e6:.0f}"


def _columns(name: str, *cells: str) -> str:
    widths = (10, 10, 10, 18, 10)
    return (f"  {name:<24}" + "".join(f"{text:>{width}}" for text, width in zip(cells, widths, strict=True))).rstrip()
