"""What a reader sees of requests, and the rows that hold it: a report needs no OpenCV, as measuring does."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.sheet import Made, Sheet
from benchmarks.text import grouped, markdown_table, milliseconds, short_name, wrapped

WHAT = (
    "What a request costs besides the network, stage by stage in median ms, against the same pipeline in plain torch "
    "(channels_last), OpenCV and NumPy. Each stage was checked against the plain one before it was timed. Pose runs "
    "the network twice for each person (flip test). Detection's random weights leave some 300 regions to classify, a "
    "trained network's up to 1000. In brackets: how many times as long the plain request takes. Rest: the share of a "
    "request that is not the network. Every number is a median of its own, so stages need not add up."
)
STAGES = 4  # on a line of the terminal
OURS, PLAIN = "hrnet_fast", "plain torch"


@dataclass(frozen=True)
class Row:
    """One runner on one kind of request.

    what: "pose", "segmentation", "detection" or "decode" (heatmaps to keypoints alone). model: its name, or empty.
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
            head, times = f"  {name:<12}{milliseconds(row.p50_us):>9} ms  ", list(row.stages.items())
            for first in range(0, max(len(times), 1), STAGES):
                part = "  ".join(f"{stage} {milliseconds(us)}" for stage, us in times[first : first + STAGES])
                lines.append(f"{head if not first else ' ' * len(head)}{part}".rstrip())
        lines += [f"  {_summary(case)}", *wrapped(f"checked: {case[OURS].check}", "  ", "  ")]
    return "\n".join([*lines, "", *wrapped(WHAT)])


def markdown(sheet: Sheet) -> str:
    """A table of each kind of request, and one sentence on the decodes."""
    parts = []
    for found in grouped(cases(sheet), lambda case: case[OURS].what):
        parts.append(_requests(found) if "network" in found[0][OURS].stages else _decodes(found))
    return "\n\n".join(parts)


def title(row: Row) -> str:
    return f"{row.what} {f'{row.model}, {row.picture}' if row.model else 'of heatmaps'}{people_of(row.people)}"


def people_of(count: int) -> str:
    return f", {count} {'person' if count == 1 else 'people'}" if count else ""


def _summary(case: dict[str, Row]) -> str:
    ours, plain = case[OURS], case[PLAIN]
    ratio = f"{plain.p50_us / ours.p50_us:.2f}x as fast"
    if "network" not in ours.stages:
        return ratio
    return f"{ratio}; all but the network: {ours.around:.1%} of ours, {plain.around:.1%} of the plain one"


def _requests(found: list[dict[str, Row]]) -> str:
    stages = list(found[0][OURS].stages)
    lines = []
    for case in found:
        lines.append([f"{short_name(case[OURS].model)}{people_of(case[OURS].people)}:", *[""] * (len(stages) + 2)])
        for name in (OURS, PLAIN):
            row = case[name]
            total = milliseconds(row.p50_us)
            if name == OURS:
                total = f"**{total}** ({case[PLAIN].p50_us / row.p50_us:.2f}x)"
            lines.append([name, *(milliseconds(row.stages[stage]) for stage in stages), total, f"{row.around:.1%}"])
    sizes = " and ".join(dict.fromkeys(case[OURS].picture for case in found))
    return markdown_table([f"{found[0][OURS].what} in {sizes}", *stages, "request", "rest"], lines)


def _decodes(decodes: list[dict[str, Row]]) -> str:
    parts = [
        f"{case[OURS].people}: {milliseconds(case[OURS].p50_us)} ms against {milliseconds(case[PLAIN].p50_us)} ms "
        f"({case[PLAIN].p50_us / case[OURS].p50_us:.0f}x)"
        for case in decodes
    ]
    what = "Heatmaps to keypoints, with the flip average, against the official loop in NumPy"
    return f"{what}, by people: {'; '.join(parts)}."
