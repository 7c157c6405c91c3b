"""What a run of requests leaves behind: rows and the JSON file around them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.machine import slug
from benchmarks.results import RESULTS, filled, write_json

FOLDER = RESULTS / "requests"
OURS, PLAIN = "hrnet_fast", "plain torch"


@dataclass(frozen=True)
class Row:
    """One runner on one kind of request.

    what: "pose", "segmentation" or "decode" (heatmaps to keypoints alone). model: its name, empty for "decode".
    picture: HxW of the JPEG, or of the heatmaps. people: in the picture. runner: OURS or PLAIN.
    p10_us, p50_us, p90_us: microseconds a request; stages: stage -> median microseconds; samples: requests timed.
    around: median share of a request that is not the network, 0 to 1.
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

    @property
    def key(self) -> tuple[str, str, str, int]:
        return self.what, self.model, self.picture, self.people


@dataclass(frozen=True)
class Run:
    """command: what was asked; machine, versions, commit, threads, other_load: as benchmarks.results.Run; checks: what
    was found right before anything was timed, one sentence a case; rows: the numbers."""

    command: str
    machine: dict[str, object]
    versions: dict[str, str]
    commit: str
    threads: int
    other_load: float | None
    checks: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def file_name(self) -> str:
        return f"requests-cpu-{slug(str(self.machine['cpu']))}-t{self.threads}.json"

    def cases(self) -> list[dict[str, Row]]:
        """Runner -> row, one dict a case, in the order of the run."""
        cases: dict[tuple, dict[str, Row]] = {}
        for row in self.rows:
            cases.setdefault(row.key, {})[row.runner] = row
        return list(cases.values())


def write_run(run: Run, folder: Path) -> Path:
    """Writes the JSON in one step. Errors: OSError if the folder is unwritable."""
    path = folder / run.file_name
    write_json(path, asdict(run))
    return path


def read_run(path: Path) -> Run:
    """Reads a file of `write_run`. Errors: ValueError that names the file and what is wrong with it."""
    try:
        data = json.loads(Path(path).read_text())
        rows = [filled(Row, row) for row in data.pop("rows")]
        return filled(Run, {**data, "checks": tuple(data["checks"]), "rows": tuple(rows)})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not a file of `python -m benchmarks.requests`: {error!r}") from None
