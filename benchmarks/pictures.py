"""What every picture shares: its colours, a page with a footer, and panels of bars."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

OURS_COLOUR, RIVAL_COLOUR, MARKED_COLOUR = "#0b6e4f", "#b8c4cc", "#e3c7a0"
INK, FAINT = "#1f2a30", "#6b7880"


def page(width: float, height: float, pad: tuple[float, float], below: float = 0.4, dpi: int = 130) -> Figure:
    """Inches; the lowest `below` of them are the footer's."""
    figure = Figure(figsize=(width, height), dpi=dpi, layout="constrained")
    figure.get_layout_engine().set(w_pad=pad[0], h_pad=pad[1], rect=(0, below / height, 1, 1 - below / height))
    return figure


def panels(figure: Figure, count: int, columns: int, **options) -> Sequence[Axes]:
    """The first `count` of a grid; the others stay empty."""
    found = figure.subplots(-(-count // columns), columns, squeeze=False, **options).flatten()
    for panel in found[count:]:
        panel.axis("off")
    return found[:count]


def written(
    figure: Figure, path: Path, footer: str, *, wide: int, at: float = 0.1, left: float = 0.012, size: float = 6.5
) -> Path:
    """The PNG, with a footer of lines of so many characters, `at` inches above its lower edge."""
    text, height = textwrap.fill(footer, wide), figure.get_figheight()
    figure.text(left, at / height, text, fontsize=size, color=FAINT, va="bottom", ha="left")
    figure.savefig(path, metadata={"Software": None})
    return path


def bar_axes(panel: Axes, names: Sequence[str], label: str, sizes: tuple[float, float, float]) -> None:
    """Of horizontal bars: their names, and what the axis below counts. sizes: of names, ticks and label in points."""
    panel.set_yticks(range(len(names)), names)
    panel.tick_params(axis="y", length=0, labelsize=sizes[0], labelcolor=INK)
    panel.tick_params(axis="x", labelsize=sizes[1], color=FAINT, labelcolor=FAINT)
    panel.set_xlabel(label, fontsize=sizes[2], color=FAINT)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.spines["bottom"].set_color(FAINT)


def title(panel: Axes, text: str, below: str, sizes: tuple[float, float], pad: float) -> None:
    """A title in bold, and a line below it."""
    panel.set_title(f"{text}\n", fontsize=sizes[0], color=INK, loc="left", weight="bold", pad=pad)
    panel.text(0, 1.02, below, transform=panel.transAxes, fontsize=sizes[1], color=FAINT, va="bottom")
