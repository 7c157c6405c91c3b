"""Requests as text: the table of a terminal and the block of docs/speed.md."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.requests.results import OURS, PLAIN, Row, Run
from benchmarks.text import identity, markdown_table, milliseconds, wrapped

BEGIN, END = "<!-- requests:begin -->", "<!-- requests:end -->"
# What ours and the plain pipeline call the work before and after the network.
_STAGES = ("read", "crop", "prepare", "network", "decode", "labels")
_SHOWN = ("hrnet_fast", "python", "torch", "opencv", "numpy")


def terminal_table(run: Run) -> str:
    lines = wrapped(identity_of(run))
    for case in run.cases():
        lines += ["", title(case[OURS])]
        for name, row in case.items():
            times = "".join(f"{stage} {milliseconds(us)}  " for stage, us in row.stages.items())
            lines.append(f"  {name:<12}{milliseconds(row.p50_us):>9} ms  {times}".rstrip())
        lines.append(f"  {_summary(case)}")
    return "\n".join([*lines, "", *(line for check in run.checks for line in wrapped(f"checked: {check}"))])


def markdown_block(runs: Sequence[Run]) -> str:
    """The Markdown between the two marks."""
    parts = [part for run in runs for part in (identity_of(run), _requests(run), _decodes(run), _command(run)) if part]
    return "\n\n".join([BEGIN, *parts, END])


def identity_of(run: Run) -> str:
    return identity(run.machine, run.threads, run.versions, _SHOWN, [run.commit], run.other_load, isa=False)


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
    lines = []
    for case in cases:
        for name in (OURS, PLAIN):
            row = case[name]
            cells = [milliseconds(row.stages[stage]) if stage in row.stages else "" for stage in used]
            total = milliseconds(row.p50_us)
            if name == OURS:
                total = f"**{total}** ({case[PLAIN].p50_us / row.p50_us:.2f}x)"
            first = title(row) if name == OURS else ""
            lines.append([first, name, *cells, total, f"{row.around:.1%}"])
    return markdown_table(head, lines, words=2)


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
