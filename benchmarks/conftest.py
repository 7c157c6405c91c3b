"""The options of `pytest benchmarks/`, what its tests share, and the report at its end."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks.cases import PROFILES
from benchmarks.progress import Progress
from benchmarks.report import draw_beside
from benchmarks.results import read_run
from benchmarks.run_report import terminal_table
from benchmarks.runners import HrnetFast, Runner
from benchmarks.session import Session, make_session
from benchmarks.text import shown_path

_SESSION = pytest.StashKey[Session]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("hrnet_fast", "what pytest benchmarks/ measures")
    group.addoption("--profile", choices=sorted(PROFILES), default="short", help="which cases (default: short)")
    group.addoption("--models", metavar="NAME,...", help="models instead of the profile's; shell wildcards")
    group.addoption("--size", metavar="HxW", help="input size for every model")
    group.addoption("--batch", metavar="N,...", help="batches instead of the profile's")
    group.addoption("--dtype", metavar="DTYPE,...", help="dtypes instead of the profile's")
    group.addoption("--rivals", metavar="NAME,...", help="rivals to run; wildcards, 'all' or 'none'")
    group.addoption("--seconds", type=float, metavar="S", help="timing budget of a case, all runners together")
    group.addoption("--budget", type=float, metavar="S", help="no case starts after S seconds; --resume goes on")
    group.addoption("--resume", action="store_true", help="leave out the cases that the results folder has already")
    group.addoption("--threads", type=int, metavar="N", help="threads of every runner (default: torch's)")
    group.addoption("--device", default="cpu", help="cpu or cuda (default: cpu)")
    group.addoption("--out", type=Path, metavar="FOLDER", help="where to write (default: benchmarks/results/local)")


def pytest_configure(config: pytest.Config) -> None:
    try:
        config.stash[_SESSION] = make_session(config.getoption)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    # pytest-benchmark's own table sees ours alone and is wider than a terminal: it is shown with -v
    config.option.benchmark_quiet = True


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", metafunc.config.stash[_SESSION].cases, ids=str)


@pytest.fixture
def session(pytestconfig: pytest.Config) -> Session:
    return pytestconfig.stash[_SESSION]


@pytest.fixture
def ours() -> Runner:
    return HrnetFast()


@pytest.fixture
def progress(pytestconfig: pytest.Config) -> Progress:
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    return Progress(uncaptured=capture.global_and_fixture_disabled)


@pytest.fixture(autouse=True)
def same_threads(session: Session) -> Iterator[None]:
    """Every runner gets the same number of threads; warnings of rivals' exporters are not about the user's code."""
    before = torch.get_num_threads()
    torch.set_num_threads(session.threads)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    torch.set_num_threads(before)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Prints and draws what was measured, also after an interruption or a failure."""
    session = config.stash[_SESSION]
    run = session.shown()
    if run is None:
        return
    results = session.out / run.file_name
    plot = draw_beside(read_run(results), results)
    terminalreporter.section("hrnet_fast and its rivals")
    terminalreporter.write_line(terminal_table(run))
    terminalreporter.write_line(f"\nresults: {shown_path(results)}")
    if plot is not None:
        terminalreporter.write_line(f"plot: {shown_path(plot)}")
    missing = [case for case in session.cases if not session.has(case)]
    if missing and session.budget < math.inf:
        more = f"{len(missing)} of {len(session.cases)} cases remain: run the same command with --resume"
        terminalreporter.write_line(more)
