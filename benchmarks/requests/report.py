"""What a reader sees of requests, and the rows that hold it: a report needs no OpenCV, as measuring does."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.sheet import Made, Sheet
from benchmarks.text import grouped, markdown_table, milliseconds, wrapped

WHAT = (
    "What a request costs besides the network, stage by stage, against the same pipeline in plain torch "
    "(channels_last), OpenCV and NumPy. Each stage was checked against the plain one before it was timed. Pose runs "
    "the network twice for each person (flip test). Every number is a median of its own, so stages need not add up."
)
OURS, PLAIN = "hrnet_fast", "plain torch"
# What ours and the plain pipeline call the work before and after the network.
_STAGES = ("read", "crop", "prepare", "network", "decode", "labels")


@dataclass(frozen=True)
class Row:
    """One runner on one kind of request.

    what: "pose", "segmentation" or "decode" (heatmaps to keypoints alone). model: its name, empty for "decode".
    picture: HxW of the JPEG, or of the heatmaps. people: in the picture. runner: OURS or PLAIN.
    p10_us, p50_us, p90_us: microseconds a request; stages: stage -> median microseconds; samples: requests timed.
    around: median share of a request that is not the network, 0 to 1. check: what was found right before the timing.
    """

    what: str
    model: str
    picture: str
    people: int
    runner: str
    p10_us: float
    p50_us: float
    p90_us: float
    samples: int
    stages: dict[str, float]
    around: float
    check: str
    made: Made

    @property
    def case(self) -> tuple[str, str, str, int]:
        return self.what, self.model, self.picture, self.people

    @property
    def key(self) -> tuple[str, str, str, int, str]:
        return (*self.case, self.runner)


def cases(sheet: Sheet) -> list[dict[str, Row]]:
    """Runner -> row, one dict a case."""
    return [{row.runner: row for row in rows} for rows in grouped(sheet.rows, lambda row: row.case)]


def terminal_table(sheet: Sheet) -> str:
    lines = wrapped(sheet.identity)
    for case in cases(sheet):
        lines += ["", title(case[OURS])]
        for name, row in case.items():
            times = "".join(f"{stage} {milliseconds(us)}  " for stage, us in row.stages.items())
            lines.append(f"  {name:<12}{milliseconds(row.p50_us):>9} ms  {times}".rstrip())
        lines += [f"  {_summary(case)}", *wrapped(f"checked: {case[OURS].check}", "  ", "  ")]
    return "\n".join([*lines, "", *wrapped(WHAT)])


def markdown(sheet: Sheet) -> str:
    """Two lines a case, ours and the plain pipeline, and one sentence on the decodes."""
    whole = [case for case in cases(sheet) if "network" in case[OURS].stages]
    decodes = [case for case in cases(sheet) if "network" not in case[OURS].stages]
    return "\n\n".join([*([_requests(whole)] if whole else []), *([_decodes(decodes)] if decodes else [])])


def title(row: Row) -> str:
    people = f", {row.people} {'person' if row.people == 1 else 'people'}" if row.people else ""
    return f"{row.what} {row.model}, {row.picture}{people}" if row.model else f"{row.what} of heatmaps{people}"


def _summary(case: dict[str, Row]) -> str:
    ours, plain = case[OURS], case[PLAIN]
    ratio = f"{plain.p50_us / ours.p50_us:.2f}x as fast"
    if "network" not in ours.stages:
        return ratio
    return f"{ratio}; all but the network: {ours.around:.1%} of ours, {plain.around:.1%} of the plain one"


def _requests(whole: list[dict[str, Row]]) -> str:
    used = [name for name in _STAGES if any(name in row.stages for case in whole for row in case.values())]
    head = ["median ms", "", *used, "request", "all but the network"]
    lines = []
    for case in whole:
        for name in (OURS, PLAIN):
            row = case[name]
            cells = [milliseconds(row.stages[stage]) if stage in row.stages else "" for stage in used]
            total = milliseconds(row.p50_us)
            if name == OURS:
                total = f"**{total}** ({case[PLAIN].p50_us / row.p50_us:.2f}x)"
            first = title(row) if name == OURS else ""
            lines.append([first, name, *cells, total, f"{row.around:.1%}"])
    return markdown_table(head, lines, words=2)


def _decodes(decodes: list[dict[str, Row]]) -> str:
    parts = [
        f"{case[OURS].people}: {milliseconds(case[OURS].p50_us)} ms against {milliseconds(case[PLAIN].p50_us)} ms "
        f"({case[PLAIN].p50_us / case[OURS].p50_us:.0f}x)"
        for case in decodes
    ]
    what = "Heatmaps to keypoints, with the flip average, against the official loop in NumPy"
    return f"{what}, by people: {'; '.join(parts)}."
