"""The README's picture: one image at a time on one CPU, a column a network, a row a dtype, a bar a runner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes

from benchmarks.headline import DTYPES, ENGINES, TORCH, Headline, decisive, headlines_of
from benchmarks.pictures import FAINT, INK, OURS_COLOUR, RIVAL_COLOUR, page, title, written
from benchmarks.results import Run
from benchmarks.runners import OURS
from benchmarks.tables import processor, threads
from benchmarks.text import milliseconds

_NAMES = {name: shown for name, shown in {OURS: OURS, **ENGINES, **TORCH}.items() if name != "torch.compile"}


def draw_headline(runs: Sequence[Run], path: Path) -> Path | None:
    """Writes a PNG of the CPU that most runners were timed on, of several the fastest; None if there is none."""
    found = [(run, cases) for run in decisive(runs) if (cases := headlines_of(run))]
    if not found:
        return None
    run, cases = max(found, key=lambda one: _completeness(one[1]))
    names = [name for name in _NAMES if any(name in case.others for case in cases.values())]
    networks = list(dict.fromkeys(key[:2] for key in cases))
    dtypes = [dtype for dtype in DTYPES if any(key[3] == dtype for key in cases)]
    height = len(dtypes) * (0.42 + 0.24 * len(names)) + 0.35
    figure = page(1.4 + 2.2 * len(networks), height, (0.05, 0.05), below=0.26, dpi=160)
    panels = figure.subplots(len(dtypes), len(networks), squeeze=False)
    for line, dtype in zip(panels, dtypes, strict=True):
        for panel, network in zip(line, networks, strict=True):
            _panel(panel, cases.get((*network, 1, dtype)), names, labelled=network == networks[0])
    footer = f"{processor(run)}, {threads(run)}: median ms of one image, and how many times as long as ours"
    path.parent.mkdir(parents=True, exist_ok=True)
    return written(figure, path, footer, at=0.06, left=0.008, size=8)


def _completeness(cases: Mapping[tuple, Headline]) -> tuple[int, float]:
    return sum(name in case.others for case in cases.values() for name in _NAMES), -sum(
        case.ours.p50_us for case in cases.values()
    )


def _panel(panel: Axes, case: Headline | None, names: Sequence[str], *, labelled: bool) -> None:
    panel.spines[:].set_visible(False)
    panel.set_xticks([])
    panel.set_ylim(len(names) - 0.5, -0.5)
    panel.set_yticks(range(len(names)), [_NAMES[name] for name in names] if labelled else [""] * len(names))
    panel.tick_params(axis="y", length=0, labelsize=7.5, labelcolor=INK)
    if labelled:
        panel.get_yticklabels()[0].set_weight("bold")
    if case is None:
        return
    network, size, dtype = case.name.split(", ")
    title(panel, network, f"{size}, {dtype}", (7.5, 6.5), pad=2)
    longest = max(row.p50_us for row in case.others.values())
    panel.set_xlim(0, 1.5 * longest)
    for place, name in enumerate(names):
        row = case.others.get(name)
        if row is None:
            panel.text(0.02 * longest, place, "not run", va="center", fontsize=6.5, color=FAINT)
            continue
        panel.barh(place, row.p50_us, height=0.7, color=OURS_COLOUR if name == OURS else RIVAL_COLOUR)
        text = milliseconds(row.p50_us) + ("" if name == OURS else f"  {row.p50_us / case.ours.p50_us:.1f}x")
        weight = "bold" if name == OURS else "normal"
        panel.text(row.p50_us + 0.03 * longest, place, text, va="center", fontsize=7, color=INK, weight=weight)
