"""The report as text: short tables of at most 100 columns, which a terminal and the end of a log bear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.gpu.store import Row
from benchmarks.gpu.summary import COLUMNS, Networks, Summary, of_part, state
from benchmarks.text import WIDTH, aligned, markdown_table, wrapped

_TROUBLES, _FAILURES = 8, 9  # shown: rows that are not "ok", failures of tests


def terminal_tables(report: Mapping) -> str:
    """Everything that the rows say, each part that has rows under its own title."""
    blocks = ["\n".join(wrapped(identity(report)))]
    if report["dry_run"]:
        blocks.append("DRY RUN: nothing was measured; every number below is of a stand-in on a CPU.")
    networks = Networks(report)
    blocks += filter(None, (
        _micro(report), _cudnn(report), _baselines(networks), _ours(networks), _aims(networks), _levels(report),
        _checks(report), _troubles(report),
    ))  # fmt: skip
    return "\n\n".join(blocks) if len(blocks) > 1 else blocks[0] + "\n\nno rows yet"


def identity(report: Mapping) -> str:
    """GPU, host, versions and commit in one sentence."""
    device, machine, versions = report["device"], report["machine"], report["versions"]
    gpu = str(report["gpu"])
    if device:
        gpu += f" (sm_{device['capability'].replace('.', '')}, {device['multiprocessors']} multiprocessors, "
        gpu += f"{device['memory_gib']} GiB, cuDNN {device['cudnn']})"
    shown = [f"{name} {versions[name]}" for name in ("python", "torch", "cuda", "triton") if name in versions]
    text = f"{gpu}; {machine['cpu']}, {machine['cores']} cores; {', '.join(shown)}; {_sources(report)}; "
    return text + "random weights."


def _sources(report: Mapping) -> str:
    """The commit; outside a checkout, the fingerprint of the library's files."""
    return f"sources {report['code']}" if report["commit"] == "unknown" else f"commit {report['commit']}"


def line_of(row: Row) -> str:
    """One row in one line, for the log of a run."""
    found = [f"{row['value']:g} {row['unit']}"] if "value" in row else []
    if row.get("arches"):
        found.append(f"compiled for {row['arches']}")
    if "p50_us" in row:
        found.append(f"{row['p50_us']:.1f} us")
    if "replay_p50_us" in row:
        found.append(f"replay {row['replay_p50_us']:.1f} us")
    if row.get("error") is not None and row.get("error_torch"):
        found.append(f"error {row['error'] / row['error_torch']:.2f}x torch's")
    if "forms" in row:
        found += [f"{name} {us:.2f}" for name, us in row["forms"].items()]
    if "passed" in row:
        found.append(f"{_counts(row)}, {row['seconds']} s")
    if "tuned" in row:
        told = row["tuned"]
        rest = f", {told['left']} levels left" if told.get("left") else ""
        rest += f", {told['refused']} refused as modelled" if told.get("refused") else ""
        found.append(f"{told['levels']} levels {told['before_us']} > {told['us']} us in {told['seconds']} s{rest}")
    if "chosen" in row:
        found.append(str(row["chosen"]))
    if row.get("numbers"):
        found.append(str(row["numbers"]))
    if "levels" in row and isinstance(row["levels"], list):
        found.append(f"{len(row['levels'])} levels, {sum(level['us'] for level in row['levels']):.1f} us")
    if "build_s" in row:
        found.append(f"built in {row['build_s']:.1f} s")
    state_of = "" if row["status"] == "ok" else f"{row['status']}: {row.get('reason')}; "
    return f"  {row['name']}: {state_of}{', '.join(found)}"[:200].rstrip("; ")


def _micro(report: Mapping) -> str:
    rows = [row for row in of_part(report, "micro") if "value" in row]
    if not rows:
        return ""
    lines = ["the GPU itself (launch: from one empty kernel of a CUDA graph to the next; copy: read plus written)"]
    cells = [f"{row['name']}: {row['value']:g} {row['unit']}" for row in rows]
    return "\n".join([*lines, *wrapped("; ".join(cells), "  ", "  ")])


def _cudnn(report: Mapping) -> str:
    """Two shapes a line: conv, add and ReLU apart, then fused, and the TFLOP/s of the fastest form."""
    cells = []
    for row in (row for row in of_part(report, "cudnn") if row.get("forms")):
        forms = row["forms"]
        apart, fused = (f"{forms[n]:.1f}" if n in forms else "-" for n in ("conv, add, relu", "fused add relu"))
        cells.append(f"{row['name'].removeprefix('cuDNN '):<27}{apart:>7}{fused:>7}{row['tflops']:>6.0f}")
    if not cells:
        return ""
    pairs = [" | ".join(cells[place : place + 2]) for place in range(0, len(cells), 2)]
    return "\n".join(["cuDNN, us: conv + add + ReLU apart, fused, TFLOP/s of the fastest form", *pairs])


def _baselines(networks: Networks) -> str:
    lines = [[name, *(_cell(rows.get(runner)) for _, runner in COLUMNS)] for name, rows in networks.baselines()]
    title = "torch: median of one call from an idle GPU (.f: freezing; x: wrong, failed or timed out; !: inexact)"
    return "\n".join([title, *aligned([["us", *(short for short, _ in COLUMNS)], *lines], " ")]) if lines else ""


def _ours(networks: Networks) -> str:
    head = ["us", "triton", "cuda", "cudnn", "auto", "tuned", "torch", "ratio", "graph", "torch", "ratio"]
    lines = []
    for summary in networks.summaries():
        calls = [_cell(summary.rows.get(executor)) for executor in ("triton", "cudnn", "auto", "auto tuned")]
        calls.insert(1, _of_two(summary.rows.get("cuda"), summary.rows.get("cuda-chains")))
        best, best_replay = (_us(us) if us else "-" for us in (summary.torch_us, summary.torch_replay_us))
        replay = _us(summary.replay_us) if summary.replay_us else "-"
        ratios = [f"{ratio:.2f}x" if ratio else "-" for ratio in (summary.ratio, summary.replay_ratio)]
        lines.append([summary.label, *calls, best, ratios[0], replay, best_replay, ratios[1]])
    title = "hrnet_fast: one call (+: cuda-chains), torch's best call; a bare graph, torch's best"
    return "\n".join([title, *aligned([head, *lines], " ")]) if lines else ""


def _aims(networks: Networks) -> str:
    lines = [f"  {summary.label}: {aim}" for summary in networks.summaries() if (aim := verdict(summary))]
    return "\n".join(["aims (time: bare graph; ratio: calls against the best correct torch)", *lines]) if lines else ""


def verdict(summary: Summary) -> str:
    """'≤ 250 µs, ≥ 4x; then ≤ 180 µs: 240.1 µs met, 5.1x met', empty without a measurement of ours."""
    workload = summary.workload
    told = []
    if workload.first_us and summary.replay_us:
        told.append(f"{summary.replay_us:.1f} us {'met' if summary.replay_us <= workload.first_us else 'MISSED'}")
    elif workload.then_us and summary.replay_us:
        told.append(f"{summary.replay_us:.1f} us {'met' if summary.replay_us <= workload.then_us else 'not yet'}")
    if workload.first_ratio and summary.ratio:
        told.append(f"{summary.ratio:.2f}x {'met' if summary.ratio >= workload.first_ratio else 'MISSED'}")
    return f"{workload.aim}: {', '.join(told)}" if told else ""


def _levels(report: Mapping) -> str:
    lines = []
    for row in (row for row in of_part(report, "profile") if row.get("levels")):
        levels = row["levels"]
        total, floor = (sum(level[key] for level in levels) for key in ("us", "roofline_us"))
        name = row["name"].replace(": levels", "")
        lines.append(f"  {name}: {len(levels)} levels, {total:.1f} us; roofline {floor:.1f} us")
        slowest = sorted(levels, key=lambda level: -level["us"])[:2]
        lines += [f"    {level['level']:>3} {level['us']:>7.2f} us {level['items']}"[:WIDTH] for level in slowest]
    return "\n".join(["levels, and the two slowest of each network", *lines]) if lines else ""


def _checks(report: Mapping) -> str:
    lines = []
    tests = [row for part in ("tests", "suites") for row in of_part(report, part) if "passed" in row]
    for row in tests:
        lines.append(f"  {row['name']}: {_counts(row)} in {row['seconds']:.0f} s")
        lines += _some(row["failures"], sum(bool(row["failures"]) for row in tests))
    sanitized = [row for row in of_part(report, "sanitizer") if row.get("summary") or row.get("numbers")]
    for row in sanitized:
        lines.append(f"  {row['name']}: {row['status']}, {row.get('summary') or row.get('numbers')}"[:WIDTH])
        lines += _some(row["messages"], sum(bool(row["messages"]) for row in sanitized))
    return "\n".join(["tests and compute-sanitizer", *lines]) if lines else ""


def _some(told: Sequence[str], rows: int) -> list[str]:
    """The first of a row's failures, the fewer the more rows have any."""
    return [f"    {one}"[:WIDTH] for one in told[: max(1, _FAILURES // max(1, rows))]]


def _counts(row: Row) -> str:
    unfinished = f", {row['unfinished']} UNFINISHED" if row.get("unfinished") else ""
    return f"{row['passed']} passed, {row['failed']} failed, {row['skipped']} skipped{unfinished}"


def _troubles(report: Mapping) -> str:
    rows = [row for row in report["rows"] if row["status"] != "ok"]
    # what was not built explains the most, and a profile or test that breaks says more than one of many baselines
    late = ("baselines", "micro", "cudnn")
    rows.sort(key=lambda row: (row["part"] != "build", row["part"] in late, row["status"] == "not run"))
    lines = [f"  {row['part']}, {row['name']}: {row['status']}: {row.get('reason')}"[:180] for row in rows]
    refusals = [
        row for part in ("ours", "tuned") for row in of_part(report, part) if "refused" in str(row.get("chosen"))
    ]
    lines = [f"  {row['name']}: {row['chosen']}"[:180] for row in refusals] + lines
    if len(lines) > _TROUBLES:
        lines[_TROUBLES:] = [f"  and {len(lines) - _TROUBLES} more, in the report's file"]
    return "\n".join(["not as it should be", *lines]) if lines else ""


def _cell(row: Row | None) -> str:
    """'243', '51.2 !', 'x', '-'."""
    if row is None or row["status"] == "not run":
        return "-"
    if "p50_us" not in row:
        return "x"
    return _us(row["p50_us"]) + state(row)


def _of_two(plain: Row | None, chains: Row | None) -> str:
    """The faster of two calls, marked with a plus if it is the second."""
    times = [row.get("p50_us", float("inf")) if row else float("inf") for row in (plain, chains)]
    return _cell(chains) + "+" if times[1] < times[0] else _cell(plain)


def _us(us: float) -> str:
    return f"{us:.1f}" if us < 1000 else f"{us:.0f}"


def table_of(networks: Networks) -> list[str]:
    """Markdown: ours and the best of torch in each workload, and what that was, the errors and the aims as a list."""
    lines, told = [], []
    for summary in networks.summaries():
        ours = summary.main
        times = (summary.torch_us, summary.replay_us, summary.torch_replay_us)
        torch_us, replay, torch_replay = (f"{us:.1f}" if us else "-" for us in times)
        ratio = f"{summary.ratio:.2f}x" if summary.ratio else "-"
        memory = f"{summary.memory_ratio:.2f}" if summary.memory_ratio else "-"
        call = f"**{ours['p50_us']:.1f}**" if "p50_us" in ours else ours["status"]
        lines.append([summary.label, call, torch_us, ratio, replay, torch_replay, memory])
        words = [f"torch's best call is {summary.torch_name}"] if summary.torch_us else []
        if ours.get("error") is not None:
            words.append(f"error {ours['error']:.1e}, torch's {ours['error_torch']:.1e}")
        words += filter(None, [verdict(summary)])
        told += [f"- {summary.label}: {'; '.join(words)}."] if words else []
    head = ["median µs", "hrnet_fast", "torch", "faster", "graph", "torch's", "memory"]
    caption = (
        "A call from an idle GPU beside the best one of torch, the CUDA graph alone beside torch's best graph, and "
        "memory as a share of eager channels_last's."
    )
    return [caption, markdown_table(head, lines), *filter(None, ["\n".join(told)])]


def markdown(report: Mapping, plot: str | None) -> list[str]:
    """For docs/speed.md: identity, one line a workload, the plot, what went wrong, and the command."""
    networks = Networks(report)
    if not list(networks.summaries()):
        return []
    parts = [identity(report), *table_of(networks)]
    if plot is not None:
        parts.append(f"![median time of each runner in each workload]({plot})")
    troubles = [row for row in report["rows"] if row["status"] not in ("ok", "not run")]
    if troubles:
        parts.append("\n".join(f"- {row['name']}: {row['status']}: {row.get('reason')}." for row in troubles))
    return [*parts, f"Each number is checked against float64 before it is timed. Command:\n`{report['command']}`"]
