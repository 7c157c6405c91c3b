"""What a reader asks before the tables: how runners were set up, what Winograd gains, how long building takes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from statistics import median

from benchmarks.headline import BY_WINOGRAD, ENGINES
from benchmarks.results import Row, Run
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
    """How ours without Winograd compares with the fastest rival without it, and ours with the fastest that has it."""
    cases = [rows for run in runs for rows in timed_cases(run)]
    if without := _times_as_fast(cases, EXACT, [name for name in ENGINES if name not in BY_WINOGRAD]):
        yield (
            "**Without Winograd's algorithm**, which OpenVINO by its own report does not use, hrnet_fast in float32 "
            f"(`{EXACT}`) is {min(without):.2f} to {max(without):.2f} times as fast as the fastest rival that does "
            f"without it, too, {median(without):.2f} times in the median of {len(without)} cases. bfloat16 was not "
            "timed so."
        )
    if with_it := _times_as_fast([rows for rows in cases if rows[OURS].dtype == "float32"], OURS, BY_WINOGRAD):
        yield (
            f"**With it** hrnet_fast in float32 is {min(with_it):.2f} to {max(with_it):.2f} times as fast as the "
            f"faster of {' and '.join(BY_WINOGRAD)}, which use it too, {median(with_it):.2f} times in the median of "
            f"{len(with_it)} cases."
        )


def _times_as_fast(cases: Sequence[Mapping[str, Row]], ours: str, rivals: Collection[str]) -> list[float]:
    return [
        min(times) / rows[ours].p50_us
        for rows in cases
        if ours in rows and (times := [rows[name].p50_us for name in rivals if name in rows])
    ]


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
