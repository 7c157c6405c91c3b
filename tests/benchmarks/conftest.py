"""A small run as data, so that reports are tested without measuring anything."""

from __future__ import annotations

import pytest

from benchmarks.report import BEGIN, END
from benchmarks.results import Row, Run


def a_row(executor: str, status: str = "ok", p50_ms: float | None = 10.0, dtype: str = "float32", **values) -> Row:
    timed = status in ("ok", "outside tolerance")
    times = {f"p{q}_us": 1e3 * p50_ms * (1 + q / 1e3) for q in (10, 50, 90, 99)} if timed else {}
    checked = {"error": 2e-7, "error_torch": 1.5e-7, "build_s": 1.25, "peak_bytes": 123_000_000} if timed else {}
    case = {"model": "hrnet_w32.pose_coco_256x192", "size": "256x192"}
    made = {"commit": "0123456789", "code": "abc", "other_load": 0.1, "samples": 9 if timed else 0}
    return Row(
        **{"case": case, "batch": 1, **times, **checked, **made, **values},
        dtype=dtype,
        executor=executor,
        status=status,
    )


def a_run(*rows: Row, **values) -> Run:
    fields = {
        "profile": "short",
        "command": "pytest benchmarks --profile short --threads 2",
        "machine": {"cpu": "Intel(R) Xeon(R) Processor", "cores": 2, "isa": ["avx2"], "memory_gib": 8},
        "device": "cpu",
        "versions": {"python": "3.11.7", "torch": "2.15.0+cpu", "hrnet_fast": "0.1.0"},
        "threads": 2,
        "weights": "random weights",
        "settings": {},
    }  # fmt: skip
    return Run(**{**fields, **values}, rows=rows)


@pytest.fixture
def documents(tmp_path):
    """A folder with README.md and docs/speed.md, whose blocks are empty."""
    (tmp_path / "docs").mkdir()
    for name in ("README.md", "docs/speed.md"):
        (tmp_path / name).write_text(f"above\n{BEGIN}\n{END}\nbelow\n")
    return tmp_path


@pytest.fixture
def make_row():
    """Makes one row: executor, status, median in milliseconds, and any other field."""
    return a_row


@pytest.fixture
def make_run():
    """Makes a run of the given rows."""
    return a_run


@pytest.fixture
def run() -> Run:
    return a_run(
        a_row("hrnet_fast", p50_ms=10),
        a_row("plain", p50_ms=25),
        a_row("OpenVINO", p50_ms=8),
        a_row("torch.compile", "not run", reason="left out of the short profile"),
        a_row("hrnet_fast", p50_ms=0.5, dtype="bfloat16"),
        a_row("OpenVINO", "outside tolerance", 0.25, "bfloat16", reason="relative L2 error 1e-01", error=0.1),
        a_row("plain", "wrong", dtype="bfloat16", reason="the worst element is [0]", error=None),
    )
