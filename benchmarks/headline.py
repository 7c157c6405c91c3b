"""The speed tables of the README: of each machine one, with the cases and runners that decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.gpu.summary import Networks
from benchmarks.gpu.tables import identity as gpu_identity
from benchmarks.gpu.tables import rows_of
from benchmarks.results import Row, Run
from benchmarks.runners.ours import OURS
from benchmarks.tables import identity_of, our_row
from benchmarks.text import markdown_table, milliseconds

RIVALS = {"OpenVINO": "OpenVINO", "ONNX Runtime": "ONNX Runtime", "torch.compile freezing": "torch.compile, freezing",
          "plain channels_last": "torch channels_last", "plain": "torch"}  # fmt: skip
DTYPES = ("float32", "bfloat16")


def headlines(runs: Sequence[Run], gpu_reports: Sequence[Mapping]) -> list[str]:
    """Markdown: of each GPU its table; of each CPU, with most threads, one image at a time."""
    parts = []
    for report in gpu_reports:
        if list((networks := Networks(report)).summaries()):
            parts += [gpu_identity(report).replace("\n", " "), "\n".join(rows_of(networks))]
    for run in runs:
        most = max(other.threads for other in runs if other.machine["cpu"] == run.machine["cpu"])
        if run.threads == most and (table := _table(run)):
            parts += [identity_of(run), table]
    return parts


def _table(run: Run) -> str:
    groups = [rows for rows in run.groups() if rows[0].batch == 1 and rows[0].dtype in DTYPES and our_row(rows)]
    timed = {row.executor for rows in groups for row in rows if row.timed}
    rivals = [name for name in RIVALS if name in timed]
    if not groups:
        return ""
    head = [
        "median ms, one image (hrnet_fast is … times as fast)",
        OURS,
        *(RIVALS[name] for name in rivals),
        "error / torch's",
    ]
    lines = []
    for rows in groups:
        ours, others = our_row(rows), {row.executor: row for row in rows if row.timed}
        cells = [f"**{milliseconds(ours.p50_us)}**", *(_cell(others.get(name), ours) for name in rivals)]
        lines.append([_name(ours), *cells, f"{ours.error / ours.error_torch:.2f}"])
    return markdown_table(head, lines)


def _name(row: Row) -> str:
    """'hrnet_w32.pose_coco, 256x192, float32'."""
    model, size = row.case["model"], row.case["size"]
    return f"{model.removesuffix(f'_{size}')}, {size}, {row.dtype}"


def _cell(row: Row | None, ours: Row) -> str:
    return f"{milliseconds(row.p50_us)} ({row.p50_us / ours.p50_us:.2f}x)" if row else "-"
