"""What a reader of the GPU report sees, from rows as data."""

from __future__ import annotations

import pytest

from benchmarks.gpu import baselines, checks, cudnn, micro, ours
from benchmarks.gpu.jobs import Job
from benchmarks.gpu.picture import draw
from benchmarks.gpu.store import STATUSES, Store
from benchmarks.gpu.summary import COLUMNS, Networks
from benchmarks.gpu.tables import line_of, markdown, terminal_tables, verdict
from benchmarks.gpu.workloads import WORKLOADS, asked
from benchmarks.report import BEGIN, END, main

ABOUT = {
    "gpu": "NVIDIA H200", "torch": "2.11.0+cu130", "dry_run": False, "commit": "0123456789", "code": "c0de",
    "device": {"capability": "9.0", "multiprocessors": 132, "memory_gib": 140, "l2_mib": 60, "cudnn": 91000},
    "machine": {"cpu": "Intel(R) Xeon(R) Platinum 8558", "cores": 16, "isa": ["avx2"]},
    "versions": {"python": "3.12.3", "torch": "2.11.0", "cuda": "13.0", "triton": "3.6.0", "hrnet_fast": "0.1.0"},
    "command": "python -m benchmarks.gpu --parts micro",
}  # fmt: skip
FIRST = "W32 pose 256x192 b1 float16"


def a_row(part, name, status="ok", us=None, replay=None, **values):
    times = {} if us is None else {"p10_us": us, "p50_us": us, "p90_us": us, "wall_us": us, "samples": 200}
    if replay is not None:
        times["replay_p50_us"] = replay
    return {"part": part, "name": name, "status": status, "reason": None, **times, **values}


def a_report(*rows):
    return {"kind": "gpu-report", **ABOUT, "rows": list(rows)}


def network(runner, us, replay=None, part="baselines", label=FIRST, **values):
    found = {"error": 1e-3, "error_torch": 2e-3, "memory_bytes": 100_000_000, "build_s": 1.0, **values}
    return a_row(part, f"{label}: {runner}", us=us, replay=replay, **found)


@pytest.fixture
def report():
    return a_report(
        network("plain", 8000.0),
        network("plain channels_last", 7000.0),
        network("CUDA-graphed eager", 1500.0, 1450.0),
        network("torch.compile freezing", 1200.0, 1000.0),
        network("torch.compile reduce-overhead", 900.0, status="outside tolerance", reason="inexact"),
        network("triton", 260.0, 240.0, part="ours", memory_bytes=90_000_000),
        network("cuda", 250.5, 245.0, part="ours"),
        network("cuda-chains", 248.5, 244.0, part="ours"),
        network("cudnn", 700.0, 650.0, part="ours"),
        network("auto", 262.0, 241.0, part="ours", memory_bytes=90_000_000),
    )


def full_report(status="ok"):
    """Every row that a report can hold, with long numbers and, but for "ok", a long reason for each."""
    jobs = [
        Job("build", ("CUDA ops",), ("x",)), *micro.jobs(False), *cudnn.jobs(False), *baselines.jobs(False),
        *ours.jobs(False), *ours.tuned_jobs(False), *checks.test_jobs(False), *checks.suite_jobs(False),
        *(Job("profile", (f"{w.label} float16: levels by triton",), ("triton",)) for w in WORKLOADS),
        *checks.sanitizer_jobs(False),
    ]  # fmt: skip
    rows = []
    for job in jobs:
        for name in job.names:
            row = a_row(job.part, name, status, reason=None if status == "ok" else "a reason " * 30)
            if job.part in ("baselines", "ours", "tuned") and status in ("ok", "outside tolerance"):
                row |= network("x", 12345.6, 12340.1, part=job.part) | {"name": name, "status": status}
            if name.startswith("cuDNN"):
                forms = dict.fromkeys(("conv", "conv, add, relu", "fused add relu"), 1234.567)
                row |= {"forms": forms, "tflops": 700.0}
            elif job.part == "micro":
                row |= {"value": 123.456, "unit": "TFLOP/s"}
            if job.part == "profile":
                level = {"us": 12.345, "roofline_us": 1.2, "items": "4 Conv + 2 Sum: " + "32x64x48 " * 20}
                row["levels"] = [{"level": index, **level} for index in range(98)]
            if job.part in ("tests", "suites"):
                row |= {
                    "unfinished": 1234,
                    "passed": 1234,
                    "failed": 12,
                    "skipped": 123,
                    "seconds": 123.4,
                    "failures": ["why " * 50] * 12,
                }
            if job.part == "sanitizer":
                row["summary"] = "RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)"
                row["messages"] = ["Error: Race reported between " * 5] * 5
            rows.append(row)
    return a_report(*rows)


@pytest.mark.parametrize("status", STATUSES)
def test_the_fullest_report_fits_the_end_of_a_log(status):
    text = terminal_tables(full_report(status))
    assert len(text) < 11_500
    assert max(map(len, text.split("not as it should be")[0].splitlines())) <= 100
    assert "NVIDIA H200 (sm_90, 132 multiprocessors" in text


def test_an_empty_report_says_so():
    assert terminal_tables(a_report()).endswith("no rows yet")


def test_columns_are_the_runners_that_are_measured():
    assert {runner for _, runner in COLUMNS} == set(baselines.NAMES)


def test_ours_is_held_against_the_best_correct_torch(report):
    (summary,) = Networks(report).summaries()
    assert (summary.torch_us, summary.torch_name) == (1200.0, "torch.compile freezing")  # 900 us are inexact
    assert summary.torch_replay_us == 1000.0 and summary.replay_us == 241.0
    assert summary.ratio == pytest.approx(1200 / 262) and summary.replay_ratio == pytest.approx(1000 / 241)
    assert summary.memory_ratio == pytest.approx(0.9)


def test_tuned_rows_count_where_there_are_any(report):
    tuned = network("auto tuned", 200.0, 180.0, part="tuned", tuned={})
    (summary,) = Networks(a_report(*report["rows"], tuned)).summaries()
    assert summary.replay_us == 180.0 and summary.ratio == pytest.approx(6.0)
    assert verdict(summary).endswith("180.0 us met, 6.00x met")


def test_without_auto_the_fastest_executor_counts(report):
    (summary,) = Networks(a_report(*report["rows"][:-1])).summaries()
    assert summary.replay_us == 240.0 and summary.ratio == pytest.approx(1200 / 260)


def test_wrong_numbers_of_ours_have_no_ratio():
    row = a_row("ours", f"{FIRST}: auto", "wrong", reason="far off", error=1.0, error_torch=1e-3)
    (summary,) = Networks(a_report(network("plain", 800.0), row)).summaries()
    assert summary.ratio is None and summary.replay_us is None and verdict(summary) == ""
    text = terminal_tables(a_report(network("plain", 800.0), row))
    assert "wrong: far off" in text and "aims" not in text


def test_tables_show_times_ratios_and_aims(report):
    lines = terminal_tables(report).splitlines()
    torch_line, our_line = (line.split()[5:] for line in lines if line.startswith(f"  {FIRST} "))
    assert torch_line == ["8000", "7000", "1500", "-", "1200", "900.0!", "-", "-", "-"]
    assert our_line == ["260.0", "248.5+", "700.0", "262.0", "-", "1200", "4.58x", "241.0", "1000", "4.15x"]
    assert f"  {FIRST}: ≤ 250 µs, ≥ 4x; then ≤ 180 µs: 241.0 us met, 4.58x met" in lines


@pytest.mark.parametrize(
    ("label", "us", "replay", "told"),
    [
        ("W32 pose 256x192 b1 float16", 400.0, 300.0, "300.0 us MISSED, 3.00x MISSED"),
        ("W48 seg 1024x2048 b1 float16", 1000.0, 3500.0, "3500.0 us met, 1.20x met"),
        ("W48 seg 1024x2048 b1 float16", 1000.0, 3900.0, "3900.0 us not yet, 1.20x met"),
    ],
    ids=["missed", "then", "not-yet"],
)
def test_aims_are_judged(label, us, replay, told):
    rows = network("plain", 1200.0, label=label), network("auto", us, replay, part="ours", label=label)
    (summary,) = Networks(a_report(*rows)).summaries()
    assert verdict(summary).endswith(f": {told}")


def test_a_candidate_that_auto_refused_is_named(report):
    refused = network("auto", 262.0, part="ours", chosen="fastest of cudnn 300 us; triton refused: its error 1e-1 is")
    text = terminal_tables(a_report(*report["rows"][:-1], refused))
    assert f"  ours, {FIRST}" not in text and f"  {FIRST}: auto: fastest of cudnn 300 us; triton refused" in text


def test_sources_outside_a_checkout_are_told_by_their_fingerprint():
    assert "commit 0123456789;" in terminal_tables(a_report())
    assert "sources c0de;" in terminal_tables({**a_report(), "commit": "unknown"})


def test_every_workload_has_an_aim_and_its_own_label():
    assert all(workload.aim for workload in WORKLOADS)
    assert len({workload.label for workload in WORKLOADS}) == len(WORKLOADS) == 6
    assert [dtype for _, dtype in asked(False)] == ["float16"] * 6 + ["bfloat16"] * 6


def test_every_row_has_its_own_name():
    names = [(row["part"], row["name"]) for row in full_report()["rows"]]
    assert len(set(names)) == len(names)


def test_shapes_are_hrnets_with_channels_that_a_gpu_likes():
    shapes = cudnn.shapes(False)
    assert all(shape.inputs % 8 == shape.outputs % 8 == 0 for shape in shapes)
    assert cudnn.ConvShape(1, 24, 24, 56, 56) in shapes and cudnn.ConvShape(1, 384, 384, 32, 64) in shapes
    assert cudnn.ConvShape(64, 32, 32, 64, 48).flops == 2 * 64 * 64 * 48 * 32 * 32 * 9


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (network("a", 262.04, 241.0), f"  {FIRST}: a: 262.0 us, replay 241.0 us, error 0.50x torch's, built in 1.0 s"),
        (
            a_row("tuned", "t", tuned={"levels": 25, "before_us": 300.0, "us": 250.5, "seconds": 61.0}),
            "  t: 25 levels 300.0 > 250.5 us in 61.0 s",
        ),
        (a_row("micro", "copy 4 MiB", value=4.3, unit="TB/s"), "  copy 4 MiB: 4.3 TB/s"),
        (a_row("ours", "a", "failed", reason="out of memory"), "  a: failed: out of memory"),
    ],
    ids=["network", "tuned", "micro", "failed"],
)  # fmt: skip
def test_a_row_is_one_line_of_the_log(row, text):
    assert line_of(row) == text


def test_markdown_has_one_line_a_network(report):
    _, _, table, told, *_ = markdown(report, "gpu.png")
    head, rule, line = table.splitlines()
    assert head.count("|") == rule.count("|") == line.count("|") and len(line) <= 100
    assert [cell.strip() for cell in line.split("|")[2:-1]] == [
        "**262.0**",
        "1200.0",
        "4.58x",
        "241.0",
        "1000.0",
        "0.90",
    ]
    best = "torch's best call is torch.compile freezing; error 1.0e-03, torch's 2.0e-03"
    assert told == f"- {FIRST}: {best}; ≤ 250 µs, ≥ 4x; then ≤ 180 µs: 241.0 us met, 4.58x met."
    assert "![median time of each runner in each workload](gpu.png)" in markdown(report, "gpu.png")
    assert markdown(a_report(network("plain", 1.0)), None) == []


def test_picture_is_drawn_where_something_was_timed(report, tmp_path):
    assert draw(a_report(), tmp_path / "none.png") is None
    path = draw(full_report(), tmp_path / "all.png")
    assert path.read_bytes().startswith(b"\x89PNG") and draw(report, tmp_path / "one.png") is not None


def test_the_documents_get_the_gpu_table_beside_the_others(report, run, documents, capsys):
    from benchmarks.results import write_run

    store = Store(documents, ABOUT)
    for row in report["rows"]:
        store.add(row["part"], row)
    assert main([str(write_run(run, documents)), str(store.path), "--write", str(documents)]) == 0
    for name in ("README.md", "docs/speed.md"):
        assert f"| {FIRST} |  **262.0** |" in (documents / name).read_text()
    text = (documents / "docs" / "speed.md").read_text()
    assert "**float32, one image a call**" in text and f"](../{store.path.stem}.png)" in text
    assert "torch: median of one call from an idle GPU" in capsys.readouterr().out


def test_a_dry_run_never_reaches_the_documents(report, documents):
    store = Store(documents, {**ABOUT, "dry_run": True})
    store.add("ours", network("auto", 1.0, 1.0, part="ours", label="W18 small pose 64 b1 float32"))
    assert main([str(store.path), "--write", str(documents)]) == 0
    for name in ("README.md", "docs/speed.md"):
        assert (documents / name).read_text() == f"above\n{BEGIN}\n\n{END}\nbelow\n"
