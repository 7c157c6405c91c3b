"""What the rows say of each network: ours beside the best that torch does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks.gpu.store import Row
from benchmarks.gpu.workloads import Workload, asked

COLUMNS = (  # of the table of baselines: short name, runner
    ("plain", "plain"), ("NHWC", "plain channels_last"), ("graph", "CUDA-graphed eager"), ("comp", "torch.compile"),
    ("comp.f", "torch.compile freezing"), ("r-o", "torch.compile reduce-overhead"),
    ("r-o.f", "torch.compile reduce-overhead freezing"), ("m-a", "torch.compile max-autotune"),
    ("m-a.f", "torch.compile max-autotune freezing"),
)  # fmt: skip
_GRAPH = "replay_p50_us"


def of_part(report: Mapping, part: str) -> list[Row]:
    return [row for row in report["rows"] if row["part"] == part]


def state(row: Row) -> str:
    """The mark behind a number."""
    return "" if row["status"] == "ok" else "!"


@dataclass(frozen=True)
class Summary:
    """One network in one dtype. rows: executor -> row of ours. Times are medians in microseconds, None if unknown.

    main: our row that counts: of `auto`, tuned if it was, else of the executor with the fastest bare graph or call.
    torch_us, torch_name: the best correct baseline's call; torch_replay_us: the best bare graph of a correct baseline.
    ratio: torch_us over our call; replay_ratio: the same of bare graphs. memory_ratio: ours over eager channels_last.
    """

    label: str
    workload: Workload
    rows: Mapping[str, Row]
    main: Row
    torch_us: float | None
    torch_name: str
    torch_replay_us: float | None
    memory_ratio: float | None

    @property
    def replay_us(self) -> float | None:
        return _timed(self.main, _GRAPH)

    @property
    def ratio(self) -> float | None:
        ours = _timed(self.main, "p50_us")
        return self.torch_us / ours if ours and self.torch_us else None

    @property
    def replay_ratio(self) -> float | None:
        return self.torch_replay_us / self.replay_us if self.replay_us and self.torch_replay_us else None


class Networks:
    """The networks of a report, in the order of its workloads."""

    def __init__(self, report: Mapping):
        self._asked = [(f"{w.label} {dtype}", w) for w, dtype in asked(bool(report["dry_run"]))]
        self._rows: dict[str, dict[str, dict[str, Row]]] = {"baselines": {}, "ours": {}}
        for part in ("baselines", "ours", "tuned"):
            found = self._rows["baselines" if part == "baselines" else "ours"]
            for row in of_part(report, part):
                label, _, runner = row["name"].partition(": ")
                found.setdefault(label, {})[runner] = row

    def baselines(self) -> Iterator[tuple[str, dict[str, Row]]]:
        """(label, runner -> row) of each network that torch was measured on."""
        yield from ((label, self.torch(label)) for label in self.labels() if self.torch(label))

    def labels(self) -> list[str]:
        return [label for label, _ in self._asked]

    def torch(self, label: str) -> dict[str, Row]:
        return self._rows["baselines"].get(label, {})

    def ours(self, label: str) -> dict[str, Row]:
        return self._rows["ours"].get(label, {})

    def summaries(self) -> Iterator[Summary]:
        """Of each network that has a row of ours."""
        for label, workload in self._asked:
            rows, torch_rows = self.ours(label), self.torch(label)
            if not rows:
                continue
            fastest_of_ours = min(rows.values(), key=lambda row: row.get(_GRAPH) or row.get("p50_us") or float("inf"))
            autos = (rows[name] for name in ("auto tuned", "auto") if name in rows and "p50_us" in rows[name])
            main = next(autos, fastest_of_ours)
            calls = {name: us for name, row in torch_rows.items() if (us := _timed(row, "p50_us"))}
            graphs = [us for row in torch_rows.values() if (us := _timed(row, _GRAPH))]
            fastest = min(calls, key=calls.get, default="")
            eager = torch_rows.get("plain channels_last", {}).get("memory_bytes")
            memory = main.get("memory_bytes")
            yield Summary(
                label, workload, rows, main, calls.get(fastest), fastest, min(graphs, default=None),
                memory / eager if memory and eager else None,
            )  # fmt: skip


def _timed(row: Row | None, key: str) -> float | None:
    """A time of a row whose numbers are right."""
    return row.get(key) if row and row["status"] == "ok" else None
