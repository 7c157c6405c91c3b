"""The options of `pytest benchmarks/`, what its tests share, and the report at its end."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from benchmarks import machine
from benchmarks.cases import PROFILES, Case, make_cases, parse_size
from benchmarks.compare import Comparison
from benchmarks.progress import Progress
from benchmarks.report import draw_beside
from benchmarks.results import LOCAL, Row, Run, write_run
from benchmarks.runners import HrnetFast, Runner, choose_rivals
from benchmarks.tables import terminal_table
from benchmarks.weights import NOTE


@dataclass
class Plan:
    """What the options ask for, and the rows so far."""

    profile_name: str
    cases: list[Case]
    rivals: list[Runner]
    left_out: dict[str, str]
    threads: int
    device: torch.device
    out: Path
    command: str
    seconds: float
    other_load: float | None = None
    rows: list[Row] = field(default_factory=list)
    results: Path | None = None
    plot: Path | None = None

    def add(self, done: Comparison) -> None:
        self.rows += done.rows
        self.other_load = max((load for load in (self.other_load, done.other_load) if load is not None), default=None)


_PLAN = pytest.StashKey[Plan]()
_RUN = pytest.StashKey[Run]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("hrnet_fast", "what pytest benchmarks/ measures")
    group.addoption("--profile", choices=sorted(PROFILES), default="short", help="which cases (default: short)")
    group.addoption("--models", metavar="NAME,...", help="models instead of the profile's; shell wildcards")
    group.addoption("--size", metavar="HxW", help="input size for every model")
    group.addoption("--batch", metavar="N,...", help="batches instead of the profile's")
    group.addoption("--dtype", metavar="DTYPE,...", help="dtypes instead of the profile's")
    group.addoption("--rivals", metavar="NAME,...", help="rivals to run; wildcards, 'all' or 'none'")
    group.addoption("--seconds", type=float, metavar="S", help="timing budget of a case, all runners together")
    group.addoption("--threads", type=int, metavar="N", help="threads of every runner (default: all cores)")
    group.addoption("--device", default="cpu", help="cpu or cuda (default: cpu)")
    group.addoption("--out", type=Path, metavar="FOLDER", help="where to write (default: benchmarks/results/local)")


def pytest_configure(config: pytest.Config) -> None:
    try:
        config.stash[_PLAN] = _make_plan(config.getoption)
    except (ValueError, OSError) as error:
        raise pytest.UsageError(str(error)) from None


def _make_plan(option: Callable[[str], object]) -> Plan:
    name = option("profile")
    profile = PROFILES[name]
    cases = make_cases(
        name,
        models=_words(option("models")),
        batches=[_positive("--batch", word) for word in _words(option("batch"))],
        dtypes=_words(option("dtype")),
        size=parse_size(option("size")) if option("size") else None,
    )
    threads = machine.usable_cores() if option("threads") is None else _positive("--threads", option("threads"))
    seconds = profile.seconds if option("seconds") is None else option("seconds")
    if not seconds > 0:
        raise ValueError(f"--seconds must be positive, not {seconds:g}")
    out = option("out") or LOCAL
    out.mkdir(parents=True, exist_ok=True)
    if not os.access(out, os.W_OK):
        raise ValueError(f"--out {out} is not writable")
    keys = ("models", "size", "batch", "dtype", "rivals", "seconds", "device")
    words = [f"--{key} {option(key)}" for key in keys if option(key) not in (None, "cpu")]
    return Plan(
        profile_name=name,
        cases=cases,
        rivals=choose_rivals(_words(option("rivals")) or ["all"]),
        left_out={} if option("rivals") else dict(profile.left_out),
        threads=threads,
        device=_device(option("device")),
        out=out,
        command=" ".join([f"pytest benchmarks --profile {name}", *words, f"--threads {threads}"]),
        seconds=seconds,
    )


def _words(text: str | None) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()] if text else []


def _positive(option: str, text: object) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise ValueError(f"{option} takes whole numbers from 1, not {text!r}")
    return number


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise ValueError(f"--device is cpu or cuda, not {name!r}")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: torch sees no CUDA device here")
    return device


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", metafunc.config.stash[_PLAN].cases, ids=str)


@pytest.fixture
def plan(pytestconfig: pytest.Config) -> Plan:
    return pytestconfig.stash[_PLAN]


@pytest.fixture
def ours() -> Runner:
    return HrnetFast()


@pytest.fixture
def progress(pytestconfig: pytest.Config) -> Progress:
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    return Progress(uncaptured=capture.global_and_fixture_disabled)


@pytest.fixture(autouse=True)
def same_threads(plan: Plan):
    """Every runner gets the same number of threads; warnings of rivals' exporters are not about the user's code."""
    before = torch.get_num_threads()
    torch.set_num_threads(plan.threads)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    torch.set_num_threads(before)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Writes what was measured, also after an interruption or a failure."""
    plan = session.config.stash[_PLAN]
    if not plan.rows:
        return
    rivals = (HrnetFast(), *plan.rivals)
    run = Run(
        profile=plan.profile_name,
        command=plan.command,
        machine=machine.describe_machine(),
        device=machine.describe_device(plan.device),
        versions=machine.versions(),
        commit=machine.commit(),
        threads=plan.threads,
        other_load=plan.other_load,
        weights=NOTE,
        settings={runner.name: runner.settings for runner in rivals},
        rows=tuple(plan.rows),
    )
    plan.results = write_run(run, plan.out)
    plan.plot = draw_beside(run, plan.results)
    session.config.stash[_RUN] = run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    run = config.stash.get(_RUN, None)
    if run is None:
        return
    plan = config.stash[_PLAN]
    terminalreporter.section("hrnet_fast and its rivals")
    terminalreporter.write_line(terminal_table(run))
    terminalreporter.write_line("")
    for label, path in (("results", plan.results), ("plot", plan.plot)):
        if path is not None:
            terminalreporter.write_line(f"{label}: {os.path.relpath(path)}")
