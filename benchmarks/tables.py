"""Results as text: the table of a terminal, and the block of a document."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.results import Row, Run
from benchmarks.runners import EXACT, OURS, RIVALS
from benchmarks.text import aligned, case_name, counted, identity, markdown_table, milliseconds, wrapped

BEGIN, END = "<!-- speed:begin -->", "<!-- speed:end -->"
_HEAD = ("", "p50 ms", "p90 ms", "hrnet_fast is", "memory", "build", "error", "vs torch")
_SHOWN = ("hrnet_fast", "python", "torch", "onnxruntime", "openvino", "cuda")


def terminal_table(run: Run) -> str:
    """One block a case: timed runners by their median, fastest first, then the others with the reason; 100 columns."""
    lines = wrapped(identity_of(run))
    for rows in run.groups():
        ours = our_row(rows)
        lines += ["", _case_name(rows[0]), *aligned([_HEAD, *(_line(row, ours) for row in by_speed(rows))])]
        for row in rows:
            if row.status != "ok":
                lines += wrapped(f"{row.executor}: {explain_status(row)}", "  ", "      ")
            if row.ran:
                lines += wrapped(f"{row.executor} ran: {row.ran}", "  ", "      ")
    return "\n".join(lines)


def run_parts(runs: Sequence[Run], plots: Sequence[str | None]) -> list[str]:
    """Markdown of each run: its machine, its table, its plot and its command."""
    return [part for run, plot in zip(runs, plots, strict=True) for part in _markdown(run, plot)]


def markdown_block(parts: Sequence[str]) -> str:
    """Paragraphs of Markdown between the marks."""
    return "\n\n".join([BEGIN, *parts, END])


def replace_block(text: str, block: str) -> str:
    """`text` with all from the begin mark to the end mark replaced. Errors: ValueError if a mark is not there once."""
    for mark in (BEGIN, END):
        if text.count(mark) != 1:
            raise ValueError(f"the file must hold the line {mark} exactly once, not {text.count(mark)} times")
    head, _, rest = text.partition(BEGIN)
    if END not in rest:
        raise ValueError(f"the line {END} must come after {BEGIN}")
    return head + block + rest.partition(END)[2]


def identity_of(run: Run) -> str:
    """Machine, device, threads, versions and commits in one sentence, with a warning if the machine was busy."""
    gpu = "" if run.device == "cpu" else run.device
    return identity(run.machine, run.threads, run.versions, _SHOWN, run.commits, run.other_load, gpu=gpu)


def processor(run: Run) -> str:
    """'Intel Xeon'."""
    name = str(run.machine["cpu"]) if run.device == "cpu" else run.device
    return name.replace("(R)", "").removesuffix(" Processor")


def threads(run: Run) -> str:
    return counted(run.threads, "thread")


def our_row(rows: Sequence[Row]) -> Row | None:
    """Our timed row of a case."""
    return next((row for row in rows if row.executor == OURS and row.timed), None)


def by_speed(rows: Sequence[Row]) -> list[Row]:
    return sorted((row for row in rows if row.timed), key=lambda row: row.p50_us)


def explain_status(row: Row) -> str:
    """'not run: not installed', 'wrong: ...'."""
    return f"{row.status}: {row.reason}" if row.reason else row.status


def speed_of_ours(row: Row, ours: Row | None) -> str:
    """How much faster ours is than `row`: '1.61x faster', '1.10x slower', '' for our own row."""
    if ours is None or row.executor == OURS:
        return ""
    ratio = row.p50_us / ours.p50_us
    return f"{ratio:.2f}x faster" if ratio >= 1 else f"{1 / ratio:.2f}x slower"


def _case_name(row: Row) -> str:
    return case_name(*row.key)


def _line(row: Row, ours: Row | None) -> list[str]:
    memory = f"{row.peak_bytes / 1e6:.0f} MB" if row.peak_bytes is not None else "?"
    mark = "" if row.status == "ok" else " !"
    relative = f"{row.error / row.error_torch:.2f}x" if row.error_torch else ""
    return [
        row.executor + mark, milliseconds(row.p50_us), milliseconds(row.p90_us), speed_of_ours(row, ours), memory,
        f"{row.build_s:.1f} s", f"{row.error:.1e}", relative,
    ]  # fmt: skip


def _markdown(run: Run, plot: str | None) -> list[str]:
    groups = run.groups()
    timed = {row.executor for row in run.rows if row.timed}
    executors = [OURS, *(rival.name for rival in RIVALS), *sorted(timed)]
    columns = [name for name in dict.fromkeys(executors) if name in timed]
    against = [OURS, *(["exact"] if EXACT in timed else []), "plain torch"]
    head = ["median ms (hrnet_fast is … times as fast)", *columns, f"error: {' / '.join(against)}"]
    lines = []
    for rows in groups:
        ours = our_row(rows)
        by_name = {row.executor: row for row in rows}
        cells = [_cell(by_name.get(column), ours) for column in columns]
        error = _errors(ours, by_name.get(EXACT), EXACT in timed) if ours else "-"
        lines.append([_case_name(rows[0]), *cells, error])
    parts = [f"### {processor(run)}, {threads(run)}", identity_of(run), markdown_table(head, lines)]
    if plot is not None:
        parts.append(f"![median time of each runner in each case]({plot})")
    notes: dict[tuple[str, str], dict[str, None]] = {}
    for row in run.rows:
        if row.status != "ok":
            notes.setdefault((row.executor, explain_status(row)), {})[row.dtype] = None
        if row.ran and row.timed and row.dtype != "float32":
            precisions = ", ".join(dict.fromkeys(part.split(" ", 1)[1] for part in row.ran.split(", ") if " " in part))
            notes.setdefault((row.executor, f"it ran {precisions}"), {})[row.dtype] = None
    if notes:
        parts.append(
            "\n".join(f"- {name}, {' and '.join(dtypes)}: {why.rstrip(':')}." for (name, why), dtypes in notes.items())
        )
    timed_rows = [row for row in run.rows if row.timed]
    told = ""
    if timed_rows:
        calls, spread = min(row.samples for row in timed_rows), max(row.p90_us / row.p50_us for row in timed_rows)
        told = f"Medians are of {calls} calls or more; nine calls of ten take at most {spread:.2f} times the median. "
    return [*parts, f"{told}Command of the newest rows: `{run.command}`"]


def _errors(ours: Row, exact: Row | None, with_exact: bool) -> str:
    """In the order of the table's head; a dash where the kernels without Winograd were not timed."""
    shown = [ours.error, *([exact.error if exact and exact.timed else None] if with_exact else []), ours.error_torch]
    return " / ".join("-" if error is None else f"{error:.1e}" for error in shown)


def _cell(row: Row | None, ours: Row | None) -> str:
    if row is None or not row.timed:
        return "-"
    text = milliseconds(row.p50_us)
    if row.executor == OURS:
        return f"**{text}**"
    mark = "" if row.status == "ok" else " (!)"
    return f"{text} ({row.p50_us / ours.p50_us:.2f}x){mark}" if ours else text + mark
