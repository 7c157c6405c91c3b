"""Memory as text: the table of a terminal and that of docs/speed.md."""

from __future__ import annotations

from benchmarks.memory.measure import Row
from benchmarks.runners import OURS
from benchmarks.sheet import Sheet
from benchmarks.text import aligned, case_name, grouped, markdown_table, short_name, wrapped

WHAT = (
    "Memory that a fresh process takes beyond its imports. peak: from the plain module (which ours keeps, and OpenVINO "
    "and ONNX Runtime release) through building to the third run; running: peak of the runs alone; kept: after them."
)


_HEAD = ("", "peak MB", "running", "kept", "peak of ours is", "error")


def cases(sheet: Sheet) -> list[list[Row]]:
    """The rows, one list a case."""
    return grouped(sheet.rows, lambda row: row.case)


def terminal_table(sheet: Sheet) -> str:
    lines = wrapped(sheet.identity)
    for rows in cases(sheet):
        ours = next((row.peak for row in rows if row.runner == OURS), None)
        found = [_line(row, ours) for row in rows if row.peak is not None]
        lines += ["", case_name(*rows[0].case), *aligned([_HEAD, *found])]
        for row in rows:
            if row.peak is None:
                lines += wrapped(f"{row.runner}: {row.status}: {row.reason}", "  ", "      ")
    return "\n".join([*lines, "", *wrapped(WHAT)])


def markdown(sheet: Sheet) -> str:
    """Peak and what is kept of each runner, one line a case."""
    runners = list(dict.fromkeys(row.runner for row in sheet.rows if row.peak is not None))
    lines = []
    for rows in cases(sheet):
        by_runner = {row.runner: row for row in rows}
        model, size, *how = rows[0].case
        lines.append(
            [case_name(short_name(model, size), size, *how), *(_cell(by_runner.get(runner)) for runner in runners)]
        )
    return markdown_table(["peak MB (kept after the call)", *runners], lines)


def _line(row: Row, ours: int | None) -> list[str]:
    ratio = f"{ours / row.peak:.2f}x this" if ours and row.runner != OURS else ""
    return [row.runner, *map(_mb, (row.peak, row.running, row.kept)), ratio, f"{row.error:.1e}"]


def _cell(row: Row | None) -> str:
    if row is None or row.peak is None:
        return "-"
    peak = f"**{_mb(row.peak)}**" if row.runner == OURS else _mb(row.peak)
    return f"{peak} ({_mb(row.kept)})"


def _mb(size: int) -> str:
    return f"{size / 1e6:.0f}"
