"""Prints and draws results, and writes them into the docs: `python -m benchmarks.report [FILE...] [--write]`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import studies
from benchmarks.gpu import picture, store, tables
from benchmarks.headline import draw_headline, headlines
from benchmarks.method import method
from benchmarks.results import RESULTS, Run, kind_of, read_run
from benchmarks.run_report import draw, run_parts, terminal_table
from benchmarks.sources import ROOT
from benchmarks.text import markdown_lines, shown_path

README, SPEED = Path("README.md"), Path("docs/speed.md")
BEGIN, END = "<!-- speed:begin -->", "<!-- speed:end -->"
PICTURE = Path("docs/pictures/speed.png")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.report",
        allow_abbrev=False,
        description="Prints the tables of benchmark results and draws a PNG beside each file.",
        epilog="example: python -m benchmarks.report --write",
    )
    parser.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="default: all of benchmarks/results, one thread last"
    )
    parser.add_argument(
        "--write", nargs="?", type=Path, const=ROOT, metavar="FOLDER",
        help="write the blocks between the speed marks of README.md (the main cases, and their picture) and "
        "docs/speed.md (everything) in this folder (default: the checkout)",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    if options.files and options.write and options.write.resolve() == ROOT:
        parser.error("--write into the checkout takes all results, or the others' tables are lost: leave out FILE")
    try:
        report(options.files or [*sorted(RESULTS.glob("*.json"), reverse=True), *studies.files()], options.write)
    except (ValueError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    return 0


def report(files: Sequence[Path], root: Path | None) -> None:
    """Prints each run, draws it, and rewrites the blocks of README.md and docs/speed.md in a folder if asked, with the
    README's picture.

    Errors: ValueError for a file that is not a benchmark run, or a document without the marks; OSError from the system.
    """
    if not files:
        folder = shown_path(RESULTS)
        raise ValueError(f"there are no results in {folder}; make some with: pytest benchmarks --out {folder}")
    documents = {} if root is None else {name: _document(root / name) for name in (README, SPEED)}
    folder = ((root or ROOT) / SPEED).resolve().parent
    kinds = {path: kind_of(path) for path in files}
    sheets = {path: kind for path, kind in kinds.items() if kind in studies.STUDIES}
    gpus = {path: store.read_report(path) for path, kind in kinds.items() if kind == store.KIND}
    runs = {path: read_run(path) for path in kinds if path not in sheets and path not in gpus}
    plots = {path: draw_beside(run, path) for path, run in runs.items()}
    plots |= {path: picture.draw(gpu, path.with_suffix(".png")) for path, gpu in gpus.items()}
    for path, plot in plots.items():
        print(terminal_table(runs[path]) if path in runs else tables.terminal_tables(gpus[path]))
        print(f"\nplot: {shown_path(plot)}\n" if plot else "\nnothing was timed, so there is no plot\n")
    studied, sections = studies.report(sheets, folder)
    for text in studied:
        print(f"{text}\n")
    if root is None:
        return
    links = {path: plot and os.path.relpath(plot, folder) for path, plot in plots.items()}
    gpus = {path: gpu for path, gpu in gpus.items() if not gpu["dry_run"]}  # which measured nothing
    cpus = list(runs.values())
    networks = run_parts(cpus, [links[path] for path in runs])
    networks += [part for path, gpu in gpus.items() for part in tables.markdown(gpu, links[path])]
    link = [f"![one image at a time by each runner]({PICTURE})"] if draw_headline(cpus, root / PICTURE) else []
    blocks = {
        README: markdown_block([*link, *headlines(cpus, gpus.values())]),
        SPEED: markdown_block([*method(cpus), *(["## Networks"] if networks else []), *networks, *sections]),
    }
    for name, text in documents.items():
        (root / name).write_text(replace_block(text, blocks[name]))
        print(f"wrote the speed tables of {shown_path(root / name)}")


def _document(path: Path) -> str:
    """The text of a document that holds the two speed marks."""
    if not path.exists():
        raise ValueError(f"{shown_path(path)} does not exist; it must hold the two speed marks")
    replace_block(text := path.read_text(), "")
    return text


def markdown_block(parts: Sequence[str]) -> str:
    """Paragraphs of Markdown between the marks."""
    return "\n\n".join([BEGIN, *map(markdown_lines, parts), END])


def replace_block(text: str, block: str) -> str:
    """`text` with all from the begin mark to the end mark replaced. Errors: ValueError if a mark is not there once."""
    for mark in (BEGIN, END):
        if text.count(mark) != 1:
            raise ValueError(f"the file must hold the line {mark} exactly once, not {text.count(mark)} times")
    head, _, rest = text.partition(BEGIN)
    if END not in rest:
        raise ValueError(f"the line {END} must come after {BEGIN}")
    return head + block + rest.partition(END)[2]


def draw_beside(run: Run, json_path: Path) -> Path | None:
    """The plot of a run, in a PNG beside its JSON."""
    return draw(run, json_path.resolve().with_suffix(".png"))


if __name__ == "__main__":
    sys.exit(main())
