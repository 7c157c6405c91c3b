"""What loading a checkpoint did, as data and as a small table."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, field

WIDTH = 100


@dataclass(frozen=True)
class LoadReport:
    """The outcome of `load_weights`; `print(report)` is a table of at most 100 columns.

    model, source: names of both; layout: the key layout that was found; matched: model keys that were loaded;
    dropped: {checkpoint key: why it was not used}; missing: model keys that keep their values; notes: what else was
        done.
    """

    model: str
    source: str
    layout: str
    matched: tuple[str, ...]
    dropped: dict[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        keys = len(self.matched) + len(self.missing)
        lines = textwrap.wrap(f"{self.model} <- {self.source} ({self.layout} keys)", WIDTH)
        lines.append(f"  matched {len(self.matched):6d} of {keys} keys")
        by_reason: dict[str, list[str]] = {}
        for key, reason in self.dropped.items():
            by_reason.setdefault(reason, []).append(key)
        for reason, dropped in by_reason.items():
            lines += _row("dropped", len(dropped), f"{_names(dropped)}: {reason}")
        counters = [key for key in self.missing if key.endswith("num_batches_tracked")]
        others = [key for key in self.missing if not key.endswith("num_batches_tracked")]
        if others:
            lines += _row("missing", len(others), f"{_names(others)}: left at the model's values")
        if counters:
            lines += _row("missing", len(counters), "num_batches_tracked: counters that inference does not read")
        for note in self.notes:
            lines += textwrap.wrap(f"note: {note}", WIDTH, initial_indent="  ", subsequent_indent="        ")
        return "\n".join(lines)


def _row(label: str, count: int, text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=f"  {label} {count:6d}  ", subsequent_indent=" " * 18)


def _names(keys: Iterable[str]) -> str:
    """The groups that keys belong to: `incre_modules.*, classifier.*`, or the one key itself."""
    keys = list(keys)
    if len(keys) == 1:
        return keys[0]
    tops = dict.fromkeys(key.split(".")[0] for key in keys)
    depth = 3 if len(tops) == 1 and len(keys) > 2 else 1
    groups = list(dict.fromkeys(".".join(key.split(".")[:depth]) for key in keys))
    if len(groups) > 4:
        groups = list(tops)
    return ", ".join(f"{group}.*" for group in groups[:6]) + (", ..." if len(groups) > 6 else "")
