"""What a reader sees of a run: the table of a terminal, the tables of a document, and a picture."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib.axes import Axes

from benchmarks.pictures import INK, MARKED_COLOUR, OURS_COLOUR, RIVAL_COLOUR, bar_axes, page, panels, title, written
from benchmarks.results import Row, Run
from benchmarks.runners import EXACT, OURS, RIVALS
from benchmarks.text import (
    aligned,
    case_name,
    counted,
    grouped,
    identity,
    markdown_table,
    milliseconds,
    short_name,
    wrapped,
)  # fmt: skip

_HEAD = ("", "p50 ms", "p90 ms", "hrnet_fast is", "memory", "build", "error", "vs torch")
WHAT = (
    "A column is a network on one input, a line is a runner: the median ms of a call, and in brackets how many times "
    "as long as hrnet_fast it takes. (!): its numbers are outside the tolerance. Errors are relative L2 against "
    "float64; plain torch's is the larger one of its two memory formats."
)
_NETWORKS = 4  # columns of a table
_SHOWN = ("hrnet_fast", "python", "torch", "onnxruntime", "openvino", "cuda")


def terminal_table(run: Run) -> str:
    """One block a case: timed runners by their median, fastest first, then the others with the reason; 100 columns."""
    lines = wrapped(identity_of(run))
    for rows in run.groups():
        ours = our_row(rows)
        lines += ["", case_name(*rows[0].key), *aligned([_HEAD, *(_line(row, ours) for row in by_speed(rows))])]
        for row in rows:
            if row.status != "ok":
                lines += wrapped(f"{row.executor}: {explain_status(row)}", "  ", "      ")
            if row.ran:
                lines += wrapped(f"{row.executor} ran: {row.ran}", "  ", "      ")
    return "\n".join(lines)


def run_parts(runs: Sequence[Run], plots: Sequence[str | None]) -> list[str]:
    """Markdown: where to find each run; and of each its machine, its tables, its plot and its command."""
    anchors = [re.sub(r"[^a-z0-9 -]", "", _title(run).lower()).replace(" ", "-") for run in runs]
    links = []
    for n, (run, anchor) in enumerate(zip(runs, anchors, strict=True)):
        again = anchors[:n].count(anchor)  # headings of the same words are told apart by a number
        links.append(f"- [{_title(run)}](#{anchor}{f'-{again}' if again else ''})")
    parts = [part for run, plot in zip(runs, plots, strict=True) for part in _markdown(run, plot)]
    return [WHAT, "\n".join(links), *parts] if runs else []


def identity_of(run: Run) -> str:
    """Machine, device, threads, versions and commits in one sentence, with a warning if the machine was busy."""
    gpu = "" if run.device == "cpu" else run.device
    return identity(run.machine, run.threads, run.versions, _SHOWN, run.commits, run.other_load, gpu=gpu)


def processor(run: Run) -> str:
    """'Intel Xeon'."""
    name = str(run.machine["cpu"]) if run.device == "cpu" else run.device
    return name.replace("(R)", "").removesuffix(" Processor")


def threads(run: Run) -> str:
    return counted(run.threads, "thread")


def _title(run: Run) -> str:
    return f"{processor(run)}, {threads(run)}"


def our_row(rows: Sequence[Row]) -> Row | None:
    """Our timed row of a case."""
    return next((row for row in rows if row.executor == OURS and row.timed), None)


def timed_cases(run: Run) -> list[dict[str, Row]]:
    """Of each case that ours was timed in, the timed rows by runner, in the order of `Run.groups`."""
    found = ({row.executor: row for row in rows if row.timed} for rows in run.groups())
    return [rows for rows in found if OURS in rows]


def by_speed(rows: Sequence[Row]) -> list[Row]:
    return sorted((row for row in rows if row.timed), key=lambda row: row.p50_us)


def explain_status(row: Row) -> str:
    """'not run: not installed', 'wrong: ...'."""
    return f"{row.status}: {row.reason}" if row.reason else row.status


def speed_of_ours(row: Row, ours: Row | None) -> str:
    """How much faster ours is than `row`: '1.61x faster', '1.10x slower', '' for our own row."""
    if ours is None or row.executor == OURS:
        return ""
    ratio = row.p50_us / ours.p50_us
    return f"{ratio:.2f}x faster" if ratio >= 1 else f"{1 / ratio:.2f}x slower"


def _line(row: Row, ours: Row | None) -> list[str]:
    memory = f"{row.peak_bytes / 1e6:.0f} MB" if row.peak_bytes is not None else "?"
    mark = "" if row.status == "ok" else " !"
    relative = f"{row.error / row.error_torch:.2f}x" if row.error_torch else ""
    return [
        row.executor + mark, milliseconds(row.p50_us), milliseconds(row.p90_us), speed_of_ours(row, ours), memory,
        f"{row.build_s:.1f} s", f"{row.error:.1e}", relative,
    ]  # fmt: skip


def _markdown(run: Run, plot: str | None) -> Iterator[str]:
    yield f"### {_title(run)}"
    yield identity_of(run)
    for groups in grouped(run.groups(), lambda rows: rows[0].key[2:]):
        if by_speed([row for rows in groups for row in rows]):
            batch, dtype = groups[0][0].key[2:]
            yield f"**{dtype}, {'one image' if batch == 1 else f'{batch} images'} a call**"
            for first in range(0, len(groups), _NETWORKS):
                yield _networks(groups[first : first + _NETWORKS])
    if plot is not None:
        yield f"![median time of each runner in each case]({plot})"
    if notes := list(_notes(run)):
        yield "\n".join(notes)
    done = [row for row in run.rows if row.timed]
    told = ""
    if done:
        calls, spread = min(row.samples for row in done), max(row.p90_us / row.p50_us for row in done)
        told = f"Medians are of {calls} calls or more; nine calls of ten take at most {spread:.2f} times the median. "
    yield f"{told}Command of the newest rows:\n`{run.command}`"


def _networks(groups: Sequence[list[Row]]) -> str:
    """Cases of one batch and dtype as a table: a column a network, a line a runner, and the errors below."""
    found = [{row.executor: row for row in rows if row.timed} for rows in groups]
    keys = [rows[0].key for rows in groups]
    names = [OURS, *(rival.name for rival in RIVALS), *sorted(name for rows in found for name in rows)]
    shown = [name for name in dict.fromkeys(names) if any(name in rows for rows in found)]
    lines = [["input", *(size for _, size, *_ in keys)]]
    lines += [[name, *(_cell(rows.get(name), rows.get(OURS)) for rows in found)] for name in shown]
    for name in (OURS, EXACT):
        if name in shown:
            lines.append([f"error, {name}", *(_error(rows.get(name), "error") for rows in found)])
    lines.append(["error, plain torch", *(_error(next(iter(rows.values()), None), "error_torch") for rows in found)])
    return markdown_table(["median ms", *(short_name(model, size) for model, size, *_ in keys)], lines)


def _error(row: Row | None, key: str) -> str:
    error = getattr(row, key, None)
    return "-" if error is None else f"{error:.1e}"


def _notes(run: Run) -> Iterator[str]:
    """What was not timed and why, and what was computed with in reduced precision."""
    notes: dict[tuple[str, str], dict[str, None]] = {}
    for row in run.rows:
        if row.status != "ok":
            notes.setdefault((row.executor, explain_status(row)), {})[row.dtype] = None
        if row.ran and row.timed and row.dtype != "float32":
            precisions = ", ".join(dict.fromkeys(part.split(" ", 1)[1] for part in row.ran.split(", ") if " " in part))
            notes.setdefault((row.executor, f"it ran {precisions}"), {})[row.dtype] = None
    for (name, why), dtypes in notes.items():
        yield f"- {name}, {' and '.join(dtypes)}: {why.rstrip(':')}."


def _cell(row: Row | None, ours: Row | None) -> str:
    if row is None or not row.timed:
        return "-"
    text = milliseconds(row.p50_us)
    if row.executor == OURS:
        return f"**{text}**"
    mark = "" if row.status == "ok" else " (!)"
    return f"{text} ({row.p50_us / ours.p50_us:.2f}x){mark}" if ours else text + mark


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
    return written(figure, path, identity_of(run), wide=112 * columns)


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
