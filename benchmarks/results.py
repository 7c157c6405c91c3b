"""What a run leaves behind: rows, the JSON file around them, and its checks."""

from __future__ import annotations

import json
import os
import re
import tempfile
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from benchmarks.cases import Case

RESULTS = Path(__file__).resolve().parent / "results"
LOCAL = RESULTS / "local"

TIMED = ("ok", "outside tolerance")
STATUSES = (*TIMED, "wrong", "failed", "not run")


@dataclass(frozen=True)
class Row:
    """One runner in one case.

    case: {"model", "size"}, size as HxW; executor: the runner's name.
    status: "ok"; "outside tolerance" (a rival in reduced precision: timed, but its numbers are too far off); "wrong"
        (fails the check, so not timed); "failed" (an error); "not run". reason: one sentence unless the status is "ok".
    p10_us, p50_us, p90_us, p99_us: microseconds a call; samples: calls timed; all None or 0 unless timed.
    peak_bytes: see `hrnet_fast.testing.PeakMemory`; build_s: seconds from the plain module to the first result.
    error, error_torch: relative L2 against float64, of this runner and of the plain module in the same dtype (of its
        two memory formats the larger one).
    """

    case: dict[str, str]
    batch: int
    dtype: str
    executor: str
    status: str
    reason: str | None = None
    p10_us: float | None = None
    p50_us: float | None = None
    p90_us: float | None = None
    p99_us: float | None = None
    samples: int = 0
    peak_bytes: int | None = None
    build_s: float | None = None
    error: float | None = None
    error_torch: float | None = None

    @property
    def timed(self) -> bool:
        return self.status in TIMED

    @property
    def key(self) -> tuple[str, str, int, str]:
        return self.case["model"], self.case["size"], self.batch, self.dtype


def row_of(case: Case, executor: str, status: str, **values) -> Row:
    return Row({"model": case.model, "size": case.size}, case.batch, case.dtype, executor, status, **values)


@dataclass(frozen=True)
class Run:
    """One benchmark run.

    profile, command: what was asked; machine: CPU, cores, ISA, system; device: what computed; versions: package ->
    version; commit: short hash, "+dirty" if files differed from it; threads: of every runner; other_load: cores that
    other programs kept busy while the most disturbed case was timed; weights: what the models held; settings: runner ->
    how it was run; rows: the numbers.
    """

    profile: str
    command: str
    machine: dict[str, object]
    device: str
    versions: dict[str, str]
    commit: str
    threads: int
    other_load: float | None
    weights: str
    settings: dict[str, str]
    rows: tuple[Row, ...]

    @property
    def file_name(self) -> str:
        """Says what matters: profile, device, threads and torch."""
        kind = "cpu" if self.device == "cpu" else "cuda"
        model = self.machine["cpu"] if kind == "cpu" else self.device
        slug = re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((r|tm)\)", "", str(model).lower())).strip("-")
        torch_version = re.match(r"\d+\.\d+", self.versions["torch"])[0]
        return f"{self.profile}-{kind}-{slug}-t{self.threads}-torch{torch_version}.json"

    def groups(self) -> list[list[Row]]:
        """The rows, one list a case, in the order of the run."""
        by_case: dict[tuple, list[Row]] = {}
        for row in self.rows:
            by_case.setdefault(row.key, []).append(row)
        return list(by_case.values())


def write_run(run: Run, folder: Path) -> Path:
    """Writes the JSON in one step, so that no reader sees half of it. Errors: OSError if the folder is unwritable."""
    text = json.dumps(asdict(run), indent=1, allow_nan=False) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / run.file_name
    with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".json.part", delete=False) as file:
        file.write(text)
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)
    return path


def read_run(path: Path) -> Run:
    """Reads and checks a file of `write_run`. Errors: ValueError that names the file and what is wrong with it."""
    try:
        data = json.loads(Path(path).read_text())
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise ValueError(f"{path} is not JSON; expected a file written by `pytest benchmarks/`") from None
    if not isinstance(data, dict):
        raise ValueError(f"{path} holds a {type(data).__name__}, not one benchmark run")
    _check_keys(path, "the run", data, Run)
    if not isinstance(data["rows"], list) or not data["rows"]:
        raise ValueError(f"{path} has no rows")
    for number, row in enumerate(data["rows"]):
        _check_keys(path, f"row {number}", row, Row)
        if row["status"] not in STATUSES:
            raise ValueError(f"{path}, row {number}: status {row['status']!r} is not one of {', '.join(STATUSES)}")
        if row["status"] in TIMED and not row["p50_us"]:
            raise ValueError(f"{path}, row {number}: {row['executor']} is {row['status']!r} but has no p50_us")
    return Run(**{**data, "rows": tuple(Row(**row) for row in data["rows"])})


def _check_keys(path: Path, what: str, found: dict, wanted: type) -> None:
    names = {field.name for field in fields(wanted)}
    for problem, keys in (("lacks", names - found.keys()), ("has the unknown key", found.keys() - names)):
        if keys:
            raise ValueError(f"{path}: {what} {problem} {', '.join(sorted(keys))}")
