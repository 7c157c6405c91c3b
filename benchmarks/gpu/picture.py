"""The report as a picture: one panel a network, one bar a runner."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes

from benchmarks.gpu.summary import Networks
from benchmarks.gpu.tables import identity
from benchmarks.pictures import INK, MARKED_COLOUR, OURS_COLOUR, RIVAL_COLOUR, bar_axes, page, panels, written

_COLUMNS = 3
Bar = tuple[str, float, float | None, str]  # name, us of a call, us of its bare graph, colour


def draw(report: Mapping, path: Path) -> Path | None:
    """Writes a PNG; None if no network was timed."""
    networks = Networks(report)
    found = [(label, bars) for label in networks.labels() if (bars := _bars(networks, label))]
    if not found:
        return None
    columns = min(_COLUMNS, len(found))
    tallest = max(len(bars) for _, bars in found)
    figure = page(4.9 * columns, -(-len(found) // columns) * (0.7 + 0.26 * tallest) + 0.7, (0.1, 0.1))
    for panel, (label, bars) in zip(panels(figure, len(found), columns), found, strict=True):
        _panel(panel, label, bars)
        panel.set_ylim(tallest - 0.4, -0.6)
    told = "DRY RUN, nothing was measured. " if report["dry_run"] else ""
    return written(figure, path, told + identity(report), wide=95 * columns)


def _bars(networks: Networks, label: str) -> list[Bar]:
    """Fastest call first."""
    bars = []
    for is_ours, rows in ((True, networks.ours(label)), (False, networks.torch(label))):
        for name, row in rows.items():
            if "p50_us" in row:
                rival = RIVAL_COLOUR if row["status"] == "ok" else MARKED_COLOUR
                shown = f"hrnet_fast {name}" if is_ours else name
                bars.append((shown, row["p50_us"], row.get("replay_p50_us"), OURS_COLOUR if is_ours else rival))
    return sorted(bars, key=lambda bar: bar[1])


def _panel(panel: Axes, label: str, bars: list[Bar]) -> None:
    reach = max(us for _, us, _, _ in bars)
    for place, (_, us, replay, colour) in enumerate(bars):
        panel.barh(place, us, height=0.66, color=colour)
        if replay:
            panel.plot([replay] * 2, [place - 0.33, place + 0.33], color=INK, linewidth=1.4)
        told = f"{us:.0f}" + (f" (graph {replay:.0f})" if replay else "")
        panel.text(us + 0.015 * reach, place, told, va="center", fontsize=7, color=INK)
    names = [name for name, *_ in bars]
    bar_axes(panel, names, "median us of a call from an idle GPU; black mark: its bare graph", (7, 6.5, 6.5))
    panel.set_xlim(0, 1.3 * reach)
    panel.set_title(label, fontsize=9, color=INK, loc="left", weight="bold")
