"""What runs leave behind: rows, the JSON file around them, and its checks."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from benchmarks.cases import DTYPES, PROFILES, Case
from benchmarks.machine import slug
from benchmarks.text import grouped

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
    peak_bytes: see `benchmarks.peak_memory.PeakMemory`; build_s: seconds from the plain module to the first result.
    error, error_torch: relative L2 against float64, of this runner and of the plain module in the same dtype (of its
        two memory formats the larger one).
    ran: what the runner says that it computed with, where it says so.
    commit: short hash, "+dirty" if sources differed from it; code: changes with any source of the library; other_load:
        cores that other programs kept busy while the case was timed; load_before: before the first case of its run,
        which older files lack.
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
    ran: str | None = None
    commit: str = "unknown"
    code: str = ""
    other_load: float | None = None
    load_before: float | None = None

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
    """One benchmark run, or several of one profile, machine, number of threads and versions.

    profile, command: what was asked last; machine: CPU, cores, ISA, system; device: what computed; versions: package
    -> version; threads: of every runner; weights: what the models held; settings: runner -> how it was run; rows: the
    numbers.
    """

    profile: str
    command: str
    machine: dict[str, object]
    device: str
    versions: dict[str, str]
    threads: int
    weights: str
    settings: dict[str, str]
    rows: tuple[Row, ...]

    @property
    def file_name(self) -> str:
        """Says what matters: profile, device, threads and torch."""
        kind = "cpu" if self.device == "cpu" else "cuda"
        model = self.machine["cpu"] if kind == "cpu" else self.device
        torch_version = re.match(r"\d+\.\d+", self.versions["torch"])[0]
        what = kind if self.profile == kind else f"{self.profile}-{kind}"
        return f"{what}-{slug(str(model))}-t{self.threads}-torch{torch_version}.json"

    @property
    def commits(self) -> list[str]:
        """Of the rows, in their order."""
        return list(dict.fromkeys(row.commit for row in self.rows))

    @property
    def other_load(self) -> float | None:
        """Cores that other programs kept busy at the worst, before a case was timed or meanwhile."""
        loads = (load for row in self.rows for load in (row.other_load, row.load_before))
        return max((load for load in loads if load is not None), default=None)

    def groups(self) -> list[list[Row]]:
        """The rows, one list a case, `in_order`, whenever each was measured."""
        return sorted(grouped(self.rows, lambda row: row.key), key=lambda rows: in_order(rows[0].key))


def in_order(key: tuple[str, str, int, str]) -> tuple:
    """Sorts the keys of rows: by batch, then by network as the profiles name them, then by dtype."""
    model, size, batch, dtype = key
    known = [given.model for given in PROFILES["all"].inputs]
    return batch, known.index(model) if model in known else len(known), model, size, list(DTYPES).index(dtype)


def write_run(run: Run, folder: Path) -> Path:
    """Writes the JSON in one step, so that no reader sees half of it; cases that the file already has are replaced.

    Errors: OSError if the folder is unwritable; ValueError if the file that is there is not a benchmark run, or was
    measured in another place.
    """
    path = folder / run.file_name
    if old := run_before(run, folder):
        run = merged(old, run)
    write_json(path, asdict(run))
    return path


def run_before(run: Run, folder: Path) -> Run | None:
    """What the file of `run` holds already. Errors: ValueError if `run` may not be added to it."""
    return added_to(folder / run.file_name, read_run, run, _PLACE, untimed=("timm", "numpy"))


def merged(old: Run, new: Run) -> Run:
    """`new` with those cases of `old` that it lacks, in the order of `old`.

    A case is replaced as a whole, since its runners are comparable only where they were timed in turns.
    """
    own = {rows[0].key: rows for rows in new.groups()}
    kept = {rows[0].key: rows for rows in old.groups()}
    rows = tuple(row for group in {**kept, **own}.values() for row in group)
    return replace(new, settings={**old.settings, **new.settings}, rows=rows)


def added_to(
    path: Path, read: Callable[[Path], Any], new: Any, names: Sequence[str], untimed: Collection[str]
) -> Any | None:
    """What a file holds that `new` is to be added to, if there is one. names: of what times depend on; untimed: but for
    these keys of it.

    Errors: ValueError that says what is wrong with the file, or what differs and so would be lost or mixed.
    """
    if not path.exists():
        return None
    try:
        old = read(path)
        if found := list(_differing(old, new, names, untimed)):
            raise ValueError(f"{path} holds {len(old.rows)} rows of other {' and '.join(found)}")
    except ValueError as error:
        raise ValueError(f"{error}; move that file away, or name another folder with --out") from None
    return old


def _differing(old: Any, new: Any, names: Sequence[str], untimed: Collection[str]) -> Iterator[str]:
    for name in names:
        was, now = getattr(old, name), getattr(new, name)
        if isinstance(was, dict):
            keys = [key for key in {**was, **now} if key not in untimed and was.get(key) != now.get(key)]
            if keys:
                yield f"{name} ({', '.join(keys)})"
        elif was != now:
            yield name


_LATER = {"load_before"}  # keys that older files lack
_PLACE = ("profile", "machine", "device", "versions", "threads", "weights")


def write_json(path: Path, data: object) -> None:
    """Replaces the file in one step. Errors: OSError if its folder is unwritable, ValueError for NaN and infinity."""
    text = json.dumps(data, indent=1, allow_nan=False) + "\n"
    folder = path.parent
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".json.part", delete=False) as file:
        file.write(text)
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)


def read_json(path: Path, writer: str) -> Any:
    """What a file holds. Errors: ValueError that names the file, and the command that should have written it."""
    try:
        return json.loads(Path(path).read_text())
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise ValueError(f"{path} is not JSON; expected a file written by `{writer}`") from None


def kind_of(path: Path) -> str | None:
    """Which kind of results the file says it holds, if it says so: a run of `pytest benchmarks` does not."""
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return data.get("kind") if isinstance(data, dict) else None


def filled(kind: type, data: Any, what: str) -> Any:
    """The dataclass that a file's keys and values are of. Errors: ValueError for other keys."""
    if not isinstance(data, dict):
        raise ValueError(f"{what} is a {type(data).__name__}, where an object is expected")
    names = {one.name for one in fields(kind)}
    for problem, keys in (("lacks", names - data.keys() - _LATER), ("has the unknown key", data.keys() - names)):
        if keys:
            raise ValueError(f"{what} {problem} {', '.join(sorted(keys))}")
    return kind(**data)


def read_run(path: Path) -> Run:
    """Reads and checks a file of `write_run`. Errors: ValueError that names the file and what is wrong with it."""
    data = read_json(path, "pytest benchmarks/")
    run = filled(Run, data, f"{path}: the run")
    if not isinstance(run.rows, list) or not run.rows:
        raise ValueError(f"{path} has no rows")
    rows = tuple(filled(Row, row, f"{path}: row {number}") for number, row in enumerate(run.rows))
    for number, row in enumerate(rows):
        if row.status not in STATUSES:
            raise ValueError(f"{path}, row {number}: status {row.status!r} is not one of {', '.join(STATUSES)}")
        if row.timed and not row.p50_us:
            raise ValueError(f"{path}, row {number}: {row.executor} is {row.status!r} but has no p50_us")
    return replace(run, rows=rows)
