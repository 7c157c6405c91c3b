"""What the README shows of speed: one image at a time, all CPUs in a table and one in a picture; a table a GPU."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from torch.torch_version import TorchVersion

from benchmarks.gpu.summary import Networks
from benchmarks.gpu.tables import identity as gpu_identity
from benchmarks.gpu.tables import table_of
from benchmarks.pictures import FAINT, INK, OURS_COLOUR, RIVAL_COLOUR, page, title, written
from benchmarks.results import Row, Run
from benchmarks.run_report import processor, threads, timed_cases
from benchmarks.runners import OURS
from benchmarks.text import grouped, markdown_table, milliseconds, network_name

ENGINES = {"OpenVINO": "OpenVINO", "ONNX Runtime": "ONNX Runtime", "torch.compile freezing": "torch.compile, freezing",
           "torch.compile": "torch.compile", "MNN": "MNN", "ncnn": "ncnn"}  # fmt: skip
BY_WINOGRAD = ("MNN", "ncnn")  # of them, those that use Winograd's algorithm
TORCH = {"plain channels_last": "torch, channels_last", "plain": "torch"}
DTYPES = ("float32", "bfloat16")
_PACKAGES = ("torch", "onnxruntime", "openvino")


Case = Mapping[str, Row]  # one image of a network in one dtype on one CPU: the timed rows by runner, ours among them


def headlines(runs: Sequence[Run], gpu_reports: Iterable[Mapping]) -> list[str]:
    """Markdown: of each GPU its table; of all CPUs one, each measured with as many threads as it was at most."""
    parts = []
    for report in gpu_reports:
        if list((networks := Networks(report)).summaries()):
            parts += [gpu_identity(report), *table_of(networks)]
    found = shown_of(runs)
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


def shown_of(runs: Sequence[Run]) -> list[tuple[Run, dict[tuple, Case]]]:
    """Of each CPU its decisive run with the cases of one image in a common dtype, by the case's key, if there are any.

    Not where ours computed in float32, as bfloat16 is slower there: whoever runs a rival would do the same.
    """
    found = []
    for run in decisive(runs):
        cases = {case[OURS].key: case for case in timed_cases(run) if case[OURS].batch == 1 and _is_common(case[OURS])}
        found += [(run, cases)] if cases else []
    return found


def _is_common(ours: Row) -> bool:
    return ours.dtype in DTYPES and ours.dtype in (ours.ran or ours.dtype)


def _all_in_one(found: Sequence[tuple[Run, Mapping[tuple, Case]]]) -> list[str]:
    everything = [case for _, measured in found for case in measured.values()]
    dtypes = [dtype for dtype in DTYPES if any(case[OURS].dtype == dtype for case in everything)]
    lines = []
    for run, measured in found:
        lines.append([f"**{processor(run)}**", *[""] * len(dtypes)])
        for cases in grouped(measured.values(), _network):
            by_dtype = {case[OURS].dtype: case for case in cases}
            lines.append([_network(cases[0]), *(_cell(by_dtype.get(dtype)) for dtype in dtypes)])
    return [
        markdown_table(["ms an image (fastest rival, torch)", *dtypes], lines),
        "In brackets: how many times as long the fastest rival takes, and plain torch in the faster of its two memory "
        "formats. A dash: not measured; where a CPU has no fast bfloat16, hrnet_fast computes in float32. "
        + _errors(everything),
        "\n".join(f"- {_measured(run, measured)}" for run, measured in found),
    ]


def _errors(cases: Sequence[Case]) -> str:
    """Ours beside those of plain torch, whose two memory formats differ."""
    told = []
    for which, choose in (("less", max), ("more", min)):
        ratios = [
            case[OURS].error / choose(torch)
            for case in cases
            if (torch := [case[name].error for name in TORCH if name in case])
        ]
        if ratios:
            told.append(f"{min(ratios):.2f} to {max(ratios):.2f} times those of torch in its {which} accurate format")
    return f"Errors against float64 are {', and '.join(told)}." if told else ""


def _measured(run: Run, cases: Mapping[tuple, Case]) -> str:
    """On what, against whom, and with which versions."""
    names = {name for case in cases.values() for name in case}
    rivals = ", ".join(dict.fromkeys(shown.partition(",")[0] for name, shown in ENGINES.items() if name in names))
    versions = ", ".join(f"{name} {run.versions[name]}" for name in _PACKAGES if name in run.versions)
    commits = ", ".join(dict.fromkeys(case[OURS].commit for case in cases.values()))
    return f"{processor(run)}: {threads(run)}; rivals: {rivals or 'none'}; {versions}; measured at {commits}."


def _network(case: Case) -> str:
    """'hrnet_w32.pose_coco, 256x192'."""
    model, size, *_ = case[OURS].key
    return f"{network_name(model, size)}, {size}"


def _cell(case: Case | None) -> str:
    if case is None:
        return "-"
    return f"**{milliseconds(case[OURS].p50_us)}** ({_ratio(case, ENGINES)}, {_ratio(case, TORCH)})"


def _ratio(case: Case, names: Iterable[str]) -> str:
    """How many times as long as ours the fastest of these takes: '1.53x'; a dash where none was timed."""
    times = [case[name].p50_us for name in names if name in case]
    return f"{min(times) / case[OURS].p50_us:.2f}x" if times else "-"


_NAMES = {name: shown for name, shown in {OURS: OURS, **ENGINES, **TORCH}.items() if name != "torch.compile"}


def draw_headline(runs: Sequence[Run], path: Path) -> Path | None:
    """Writes a PNG of the CPU that most runners were timed on, of several the fastest; None if there is none."""
    found = shown_of(runs)
    if not found:
        return None
    run, cases = max(found, key=lambda one: _completeness(one[1]))
    networks = list(dict.fromkeys(key[:2] for key in cases))
    dtypes = [dtype for dtype in DTYPES if any(key[3] == dtype for key in cases)]
    timed = [{name for key, case in cases.items() if key[3] == dtype for name in case} for dtype in dtypes]
    names_of = [[name for name in _NAMES if name in found] for found in timed]
    heights = [0.42 + 0.24 * len(names) for names in names_of]
    figure = page(1.4 + 2.2 * len(networks), sum(heights) + 0.35, (0.05, 0.05), below=0.26, dpi=160)
    panels = figure.subplots(len(dtypes), len(networks), squeeze=False, height_ratios=heights)
    for line, dtype, names in zip(panels, dtypes, names_of, strict=True):
        for panel, network in zip(line, networks, strict=True):
            _panel(panel, cases.get((*network, 1, dtype)), names, labelled=network == networks[0])
    footer = f"{processor(run)}, {threads(run)}: median ms of one image, and how many times as long as ours"
    path.parent.mkdir(parents=True, exist_ok=True)
    return written(figure, path, footer, wide=200, at=0.06, left=0.008, size=8)


def _completeness(cases: Mapping[tuple, Case]) -> tuple[int, float]:
    runners = sum(name in case for case in cases.values() for name in _NAMES)
    return runners, -sum(case[OURS].p50_us for case in cases.values())


def _panel(panel: Axes, case: Case | None, names: Sequence[str], *, labelled: bool) -> None:
    panel.spines[:].set_visible(False)
    panel.set_xticks([])
    panel.set_ylim(len(names) - 0.5, -0.5)
    panel.set_yticks(range(len(names)), [_NAMES[name] for name in names] if labelled else [""] * len(names))
    panel.tick_params(axis="y", length=0, labelsize=7.5, labelcolor=INK)
    if labelled:
        panel.get_yticklabels()[0].set_weight("bold")
    if case is None:
        return
    network, size = _network(case).split(", ")
    title(panel, network, f"{size}, {case[OURS].dtype}", (7.5, 6.5), pad=2)
    longest = max(row.p50_us for row in case.values())
    panel.set_xlim(0, 1.5 * longest)
    for place, name in enumerate(names):
        row = case.get(name)
        if row is None:
            panel.text(0.02 * longest, place, "not run", va="center", fontsize=6.5, color=FAINT)
            continue
        panel.barh(place, row.p50_us, height=0.7, color=OURS_COLOUR if name == OURS else RIVAL_COLOUR)
        text = milliseconds(row.p50_us) + ("" if name == OURS else f"  {row.p50_us / case[OURS].p50_us:.1f}x")
        weight = "bold" if name == OURS else "normal"
        panel.text(row.p50_us + 0.03 * longest, place, text, va="center", fontsize=7, color=INK, weight=weight)
