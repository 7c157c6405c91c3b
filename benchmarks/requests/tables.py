"""Requests as text: the table of a terminal and the block of docs/speed.md."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.requests.results import OURS, PLAIN, Row, Run
from benchmarks.tables import milliseconds, wrapped

BEGIN, END = "<!-- requests:begin -->", "<!-- requests:end -->"
# What ours and the plain pipeline call the work before and after the network.
_STAGES = ("read", "crop", "prepare", "network", "decode", "labels")
_BUSY = 0.5  # cores that other programs may keep busy before a reader is warned


def terminal_table(run: Run) -> str:
    lines = wrapped(identity(run))
    for case in run.cases():
        lines += ["", title(case[OURS])]
        for name, row in case.items():
            times = "".join(f"{stage} {milliseconds(us)}  " for stage, us in row.stages.items())
            lines.append(f"  {name:<12}{milliseconds(row.p50_us):>9} ms  {times}".rstrip())
        lines.append(f"  {_summary(case)}")
    return "\n".join([*lines, "", *(line for check in run.checks for line in wrapped(f"checked: {check}"))])


def markdown_block(runs: Sequence[Run]) -> str:
    """The Markdown between the two marks."""
    parts = [part for run in runs for part in (identity(run), _requests(run), _decodes(run), _command(run)) if part]
    return "\n\n".join([BEGIN, *parts, END])


def identity(run: Run) -> str:
    shown = ", ".join(f"{name} {version}" for name, version in run.versions.items() if name in _SHOWN)
    threads = f"{run.threads} thread{'s' if run.threads > 1 else ''}"
    text = f"{run.machine['cpu']} ({run.machine['cores']} cores), {threads}; {shown}; commit {run.commit}."
    if run.other_load is not None and run.other_load > _BUSY:
        text += f" Other programs kept {run.other_load:.1f} cores busy meanwhile: do not rely on the times."
    return text


_SHOWN = ("hrnet_fast", "python", "torch", "opencv", "numpy")


def title(row: Row) -> str:
    people = f", {row.people} {'person' if row.people == 1 else 'people'}" if row.people else ""
    return f"{row.what} {row.model}, {row.picture}{people}" if row.model else f"{row.what} of heatmaps{people}"


def _summary(case: dict[str, Row]) -> str:
    ours, plain = case[OURS], case[PLAIN]
    ratio = f"{plain.p50_us / ours.p50_us:.2f}x as fast"
    if "network" not in ours.stages:
        return ratio
    return f"{ratio}; all but the network: {ours.around:.1%} of ours, {plain.around:.1%} of the plain one"


def _requests(run: Run) -> str:
    cases = [case for case in run.cases() if "network" in case[OURS].stages]
    if not cases:
        return ""
    used = [name for name in _STAGES if any(name in row.stages for case in cases for row in case.values())]
    head = ["median ms", "", *used, "request", "all but the network"]
    lines = ["| " + " | ".join(head) + " |", "|---|---" + "|---:" * (len(head) - 2) + "|"]
    for case in cases:
        for name in (OURS, PLAIN):
            row = case[name]
            cells = [milliseconds(row.stages[stage]) if stage in row.stages else "" for stage in used]
            total = milliseconds(row.p50_us)
            if name == OURS:
                total = f"**{total}** ({case[PLAIN].p50_us / row.p50_us:.2f}x)"
            first = title(row) if name == OURS else ""
            lines.append("| " + " | ".join([first, name, *cells, total, f"{row.around:.1%}"]) + " |")
    return "\n".join(lines)


def _decodes(run: Run) -> str:
    cases = [case for case in run.cases() if "network" not in case[OURS].stages]
    parts = [
        f"{case[OURS].people}: {milliseconds(case[OURS].p50_us)} ms against {milliseconds(case[PLAIN].p50_us)} ms "
        f"({case[PLAIN].p50_us / case[OURS].p50_us:.0f}x)"
        for case in cases
    ]
    if not parts:
        return ""
    what = "Heatmaps to keypoints, with the flip average, against the official loop in NumPy"
    return f"{what}, by people: {'; '.join(parts)}."


def _command(run: Run) -> str:
    return f"Each stage was checked against the plain one before it was timed. Command: `{run.command}`"
