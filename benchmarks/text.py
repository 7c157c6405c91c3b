"""What every table shares: its width, its columns, its numbers, and the sentence on what was measured where."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

WIDTH = 100
_BUSY = 0.5  # cores that other programs may keep busy before a reader is warned


def identity(
    machine: Mapping, threads: int, versions: Mapping[str, str], shown: Collection[str], commits: Sequence[str],
    other_load: float | None, *, gpu: str = "",
) -> str:  # fmt: skip
    """Device, threads, versions and commits in one sentence, with a warning if the machine was busy.

    shown: of the versions. gpu: its name, if one computed.
    """
    sets = ", ".join(machine["isa"])
    device = f"{gpu}, " * bool(gpu) + f"{machine['cpu']} ({machine['cores']} cores; {sets})"
    found = ", ".join(f"{name} {version}" for name, version in versions.items() if name in shown)
    told = f"commit{'s' * (len(commits) > 1)} {', '.join(commits)}"
    text = f"{device}, {counted(threads, 'thread')}; {found}; {told}."
    if is_busy(other_load):
        text += f" Other programs kept {other_load:.1f} cores busy: do not rely on the times."
    return text


def is_busy(other_load: float | None) -> bool:
    """Whether a reader is to be warned."""
    return other_load is not None and other_load > _BUSY


def grouped(rows: Iterable, key: Callable[[Any], Any]) -> list[list]:
    """The rows of each key, in the order of their first ones."""
    found: dict[Any, list] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return list(found.values())


def case_name(model: str, size: str, batch: int, dtype: str) -> str:
    return f"{model}, {size}, batch {batch}, {dtype}"


def network_name(model: str, size: str) -> str:
    """Without the size where that stands beside it: 'hrnet_w32.pose_coco'."""
    return model.removesuffix(f"_{size}")


def short_name(model: str, size: str = "") -> str:
    """Without the beginning of all names too, as the tables of docs/speed.md have it: 'w32.pose_coco'."""
    return network_name(model, size).removeprefix("hrnet_")


def counted(number: int, what: str) -> str:
    """'2 threads'."""
    return f"{number} {what}{'s' * (number > 1)}"


def wrapped(text: str, first: str = "", later: str = "") -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=later)


def milliseconds(us: float) -> str:
    """Three or four digits that count: 0.482, 67.1, 1204."""
    ms = us / 1e3
    return f"{ms:.{3 if ms < 1 else 2 if ms < 10 else 1 if ms < 1000 else 0}f}"


def aligned(lines: Sequence[Sequence[str]], gap: str = "  ") -> list[str]:
    """Cells as columns for a terminal: the first to the left, all others, which are numbers, to the right."""
    return [f"  {gap.join(line)}".rstrip() for line in _padded(lines, 1)]


def markdown_table(head: Sequence[str], lines: Sequence[Sequence[str]], words: int = 1) -> str:
    """Markdown, aligned in its own text too; all columns but the first `words` are numbers, to the right."""
    padded = _padded([head, *lines], words)
    first, *others = (f"| {' | '.join(row)} |" for row in padded)
    rule = [f"{'-' * (len(cell) + 1)}{'-' if n < words else ':'}" for n, cell in enumerate(padded[0])]
    return "\n".join([first, f"|{'|'.join(rule)}|", *others])


def _padded(lines: Sequence[Sequence[str]], words: int) -> list[list[str]]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [[f"{cell:{'<' if n < words else '>'}{widths[n]}}" for n, cell in enumerate(line)] for line in lines]


def markdown_lines(part: str) -> str:
    """A paragraph or list of Markdown in lines that a terminal bears; tables, pictures, titles and commands stay."""
    return "\n".join(
        line
        if line[:1] in ("|", "!", "#", "`")
        else textwrap.fill(
            line, WIDTH, subsequent_indent="  " * line.startswith("- "), break_long_words=False, break_on_hyphens=False
        )
        for line in part.splitlines()
    )


def in_short(error: BaseException) -> str:
    """Its type and first line, and the next one too where the first ends with a colon; cut to what a table bears."""
    first, *rest = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no message"]
    return f"{type(error).__name__}: {' '.join([first, *rest[: first.endswith(':')]])}"[:300]


def shown_path(path: Path) -> str:
    """Relative to the working folder where that is shorter."""
    return min(str(path), os.path.relpath(path), key=len)
