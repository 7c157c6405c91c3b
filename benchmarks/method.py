"""What a reader asks before the tables: how runners were set up, what Winograd gains, how long building takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from benchmarks.headline import ENGINES
from benchmarks.results import Run
from benchmarks.run_report import timed_cases
from benchmarks.runners import EXACT, OURS


def method(runs: Sequence[Run]) -> list[str]:
    """Markdown: the settings of all runners that were timed, and what follows from all runs together."""
    if not runs:
        return []
    done = {row.executor for run in runs for row in run.rows if row.timed}
    settings = {name: text for run in runs for name, text in run.settings.items() if name in done}
    runners = "\n".join(f"- **{name}**: {text}." for name, text in settings.items())
    return ["## What was compared", runners, *_without_winograd(runs), *_building(runs)]


def _without_winograd(runs: Sequence[Run]) -> Iterator[str]:
    """How ours without Winograd compares with the fastest rival."""
    ratios = [
        min(rivals) / rows[EXACT].p50_us
        for run in runs
        for rows in timed_cases(run)
        if EXACT in rows and (rivals := [rows[name].p50_us for name in ENGINES if name in rows])
    ]
    if ratios:
        yield (
            "**Without Winograd's algorithm**, which OpenVINO by its own report does not use, hrnet_fast in float32 "
            f"(`{EXACT}`) is {min(ratios):.2f} to {max(ratios):.2f} times as fast as the fastest rival, "
            f"{median(ratios):.2f} times in the median of {len(ratios)} cases. bfloat16 was not timed so."
        )


def _building(runs: Sequence[Run]) -> Iterator[str]:
    """Seconds from the module to the first result, ours beside the rivals'."""
    seconds: dict[str, list[float]] = {}
    for rows in (rows for run in runs for rows in timed_cases(run)):
        for name in (OURS, *ENGINES):
            if name in rows and rows[name].batch == 1 and len(rows) > 2:
                seconds.setdefault(name, []).append(rows[name].build_s)
    if len(seconds) > 1:
        told = ", ".join(f"{name} {min(found):.1f} to {max(found):.1f} s" for name, found in seconds.items())
        yield f"**Building**, from the module to the first result of one image: {told}."
