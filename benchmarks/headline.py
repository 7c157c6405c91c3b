"""What the README shows of speed: one image at a time, all CPUs in a table and one in a picture; a table a GPU."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from torch.torch_version import TorchVersion

from benchmarks.gpu.summary import Networks
from benchmarks.gpu.tables import identity as gpu_identity
from benchmarks.gpu.tables import table_of
from benchmarks.pictures import FAINT, INK, OURS_COLOUR, RIVAL_COLOUR, page, title, written
from benchmarks.results import Row, Run, in_order
from benchmarks.run_report import our_row, processor, threads
from benchmarks.runners import OURS
from benchmarks.text import grouped, markdown_table, milliseconds, network_name

ENGINES = {"OpenVINO": "OpenVINO", "ONNX Runtime": "ONNX Runtime", "torch.compile freezing": "torch.compile, freezing",
           "torch.compile": "torch.compile"}  # fmt: skip
TORCH = {"plain channels_last": "torch, channels_last", "plain": "torch"}
DTYPES = ("float32", "bfloat16")
_PACKAGES = ("torch", "onnxruntime", "openvino")


@dataclass(frozen=True)
class Headline:
    """The timed rows of one image of a network in one dtype on one CPU: ours and, by their names, the others'."""

    ours: Row
    others: Mapping[str, Row]

    @property
    def network(self) -> str:
        """'hrnet_w32.pose_coco, 256x192'."""
        model, size, *_ = self.ours.key
        return f"{network_name(model, size)}, {size}"

    def ratio(self, names: Mapping[str, str]) -> str:
        """How many times as long as ours the fastest of these takes: '1.53x'; a dash where none was timed."""
        times = [self.others[name].p50_us for name in names if name in self.others]
        return f"{min(times) / self.ours.p50_us:.2f}x" if times else "-"


def headlines(runs: Sequence[Run], gpu_reports: Iterable[Mapping]) -> list[str]:
    """Markdown: of each GPU its table; of all CPUs one, each measured with as many threads as it was at most."""
    parts = []
    for report in gpu_reports:
        if list((networks := Networks(report)).summaries()):
            parts += [gpu_identity(report).replace("\n", " "), *table_of(networks)]
    found = [(run, cases) for run in decisive(runs) if (cases := headlines_of(run))]
    return parts + (_all_in_one(found) if found else [])


def decisive(runs: Sequence[Run]) -> list[Run]:
    """Of each CPU the run with most threads; of several by the newest torch, of the profile for CPUs."""
    best: dict[str, Run] = {}
    for run in runs:
        if run.device == "cpu":
            best[processor(run)] = max(best.get(processor(run), run), run, key=_weight)
    return list(best.values())


def _weight(run: Run) -> tuple[int, TorchVersion, bool]:
    return run.threads, TorchVersion(run.versions["torch"]), run.profile == "cpu"


def headlines_of(run: Run) -> dict[tuple, Headline]:
    """Of each case with one image in a common dtype, by the case's key.

    Not where ours computed in float32, as bfloat16 is slower there: whoever runs a rival would do the same.
    """
    return {
        rows[0].key: Headline(ours, {row.executor: row for row in rows if row.timed})
        for rows in run.groups()
        if rows[0].batch == 1 and rows[0].dtype in DTYPES
        if (ours := our_row(rows)) and ours.dtype in (ours.ran or ours.dtype)
    }


def _all_in_one(found: Sequence[tuple[Run, Mapping[tuple, Headline]]]) -> list[str]:
    everything = [case for _, measured in found for case in measured.values()]
    dtypes = [dtype for dtype in DTYPES if any(case.ours.dtype == dtype for case in everything)]
    lines = []
    for run, measured in found:
        lines.append([f"**{processor(run)}**", *[""] * len(dtypes)])
        for cases in grouped((measured[key] for key in sorted(measured, key=in_order)), lambda case: case.network):
            by_dtype = {case.ours.dtype: case for case in cases}
            lines.append([cases[0].network, *(_cell(by_dtype.get(dtype)) for dtype in dtypes)])
    return [
        markdown_table(["ms an image (fastest rival, torch)", *dtypes], lines),
        "In brackets: how many times as long the fastest rival takes, and plain torch in the faster of its two memory "
        "formats. A dash: not measured; where a CPU has no fast bfloat16, hrnet_fast computes in float32. "
        + _errors(everything),
        "\n".join(f"- {_measured(run, measured)}" for run, measured in found),
    ]


def _errors(cases: Sequence[Headline]) -> str:
    """Ours beside those of plain torch, whose two memory formats differ."""
    told = []
    for which, choose in (("less", max), ("more", min)):
        ratios = [
            case.ours.error / choose(torch)
            for case in cases
            if (torch := [case.others[name].error for name in TORCH if name in case.others])
        ]
        if ratios:
            told.append(f"{min(ratios):.2f} to {max(ratios):.2f} times those of torch in its {which} accurate format")
    return f"Errors against float64 are {', and '.join(told)}." if told else ""


def _measured(run: Run, cases: Mapping[tuple, Headline]) -> str:
    """On what, against whom, and with which versions."""
    timed = {name for case in cases.values() for name in case.others}
    rivals = ", ".join(dict.fromkeys(shown.partition(",")[0] for name, shown in ENGINES.items() if name in timed))
    versions = ", ".join(f"{name} {run.versions[name]}" for name in _PACKAGES if name in run.versions)
    commits = ", ".join(dict.fromkeys(case.ours.commit for case in cases.values()))
    return f"{processor(run)}: {threads(run)}; rivals: {rivals or 'none'}; {versions}; measured at {commits}."


def _cell(case: Headline | None) -> str:
    if case is None:
        return "-"
    return f"**{milliseconds(case.ours.p50_us)}** ({case.ratio(ENGINES)}, {case.ratio(TORCH)})"


_NAMES = {name: shown for name, shown in {OURS: OURS, **ENGINES, **TORCH}.items() if name != "torch.compile"}


def draw_headline(runs: Sequence[Run], path: Path) -> Path | None:
    """Writes a PNG of the CPU that most runners were timed on, of several the fastest; None if there is none."""
    found = [(run, cases) for run in decisive(runs) if (cases := headlines_of(run))]
    if not found:
        return None
    run, cases = max(found, key=lambda one: _completeness(one[1]))
    names = [name for name in _NAMES if any(name in case.others for case in cases.values())]
    networks = list(dict.fromkeys(key[:2] for key in cases))
    dtypes = [dtype for dtype in DTYPES if any(key[3] == dtype for key in cases)]
    height = len(dtypes) * (0.42 + 0.24 * len(names)) + 0.35
    figure = page(1.4 + 2.2 * len(networks), height, (0.05, 0.05), below=0.26, dpi=160)
    panels = figure.subplots(len(dtypes), len(networks), squeeze=False)
    for line, dtype in zip(panels, dtypes, strict=True):
        for panel, network in zip(line, networks, strict=True):
            _panel(panel, cases.get((*network, 1, dtype)), names, labelled=network == networks[0])
    footer = f"{processor(run)}, {threads(run)}: median ms of one image, and how many times as long as ours"
    path.parent.mkdir(parents=True, exist_ok=True)
    return written(figure, path, footer, at=0.06, left=0.008, size=8)


def _completeness(cases: Mapping[tuple, Headline]) -> tuple[int, float]:
    return sum(name in case.others for case in cases.values() for name in _NAMES), -sum(
        case.ours.p50_us for case in cases.values()
    )


def _panel(panel: Axes, case: Headline | None, names: Sequence[str], *, labelled: bool) -> None:
    panel.spines[:].set_visible(False)
    panel.set_xticks([])
    panel.set_ylim(len(names) - 0.5, -0.5)
    panel.set_yticks(range(len(names)), [_NAMES[name] for name in names] if labelled else [""] * len(names))
    panel.tick_params(axis="y", length=0, labelsize=7.5, labelcolor=INK)
    if labelled:
        panel.get_yticklabels()[0].set_weight("bold")
    if case is None:
        return
    network, size = case.network.split(", ")
    title(panel, network, f"{size}, {case.ours.dtype}", (7.5, 6.5), pad=2)
    longest = max(row.p50_us for row in case.others.values())
    panel.set_xlim(0, 1.5 * longest)
    for place, name in enumerate(names):
        row = case.others.get(name)
        if row is None:
            panel.text(0.02 * longest, place, "not run", va="center", fontsize=6.5, color=FAINT)
            continue
        panel.barh(place, row.p50_us, height=0.7, color=OURS_COLOUR if name == OURS else RIVAL_COLOUR)
        text = milliseconds(row.p50_us) + ("" if name == OURS else f"  {row.p50_us / case.ours.p50_us:.1f}x")
        weight = "bold" if name == OURS else "normal"
        panel.text(row.p50_us + 0.03 * longest, place, text, va="center", fontsize=7, color=INK, weight=weight)
