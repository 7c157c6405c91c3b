"""Prints and draws results, and writes the README's table: `python -m benchmarks.report [FILE...] [--readme]`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import studies
from benchmarks.gpu import picture, store, tables
from benchmarks.plot import draw
from benchmarks.results import RESULTS, Run, read_run
from benchmarks.tables import readme_block, replace_block, terminal_table

README = RESULTS.parent.parent / "README.md"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.report",
        description="Prints the tables of benchmark results and draws a PNG beside each file.",
        epilog="example: python -m benchmarks.report benchmarks/results/*.json --readme",
    )
    parser.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="default: benchmarks/results/*.json, one thread last"
    )
    parser.add_argument(
        "--readme", nargs="?", type=Path, const=README, metavar="PATH",
        help="write the block between the speed marks of this file (default README.md)",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    try:
        report(options.files or [*sorted(RESULTS.glob("*.json"), reverse=True), *studies.files()], options.readme)
    except (ValueError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    return 0


def report(files: Sequence[Path], readme: Path | None) -> None:
    """Prints each run, draws it, and rewrites the README's block if asked.

    Errors: ValueError for a file that is not a benchmark run, or a README without the marks; OSError from the system.
    """
    if not files:
        folder = _shown(RESULTS)
        raise ValueError(f"there are no results in {folder}; make some with: pytest benchmarks --out {folder}")
    gpu_files = [path for path in files if store.is_report(path)]
    sheets = {path: kind for path in files if (kind := studies.kind_of(path))}
    files = [path for path in files if path not in gpu_files and path not in sheets]
    runs = [read_run(path) for path in files]
    reports = [store.read_report(path) for path in gpu_files]
    plots = [draw_beside(run, path) for run, path in zip(runs, files, strict=True)]
    gpu_plots = [
        picture.draw(of_gpu, path.with_suffix(".png")) for of_gpu, path in zip(reports, gpu_files, strict=True)
    ]
    texts = [*map(terminal_table, runs), *map(tables.terminal_tables, reports)]
    for text, plot in zip(texts, [*plots, *gpu_plots], strict=True):
        print(text)
        print(f"\nplot: {_shown(plot)}\n" if plot else "\nnothing was timed, so there is no plot\n")
    folder = (readme or README).resolve().parent
    studied = [studies.report(path, kind, folder) for path, kind in sheets.items()]
    for text, _ in studied:
        print(f"{text}\n")
    if readme is not None:
        if not readme.exists():
            raise ValueError(f"{_shown(readme)} does not exist; it must hold the two speed marks")
        links, gpu_links = ([plot and os.path.relpath(plot, folder) for plot in drawn] for drawn in (plots, gpu_plots))
        # a dry run measured nothing, so no reader of the README should meet it
        of_gpus = [part for of_gpu, link in zip(reports, gpu_links, strict=True) if not of_gpu["dry_run"]
                   for part in tables.markdown(of_gpu, link)]  # fmt: skip
        more = [*(markdown for _, markdown in studied), *of_gpus]
        readme.write_text(replace_block(readme.read_text(), readme_block(runs, links, more)))
        print(f"wrote the speed table of {_shown(readme)}")


def draw_beside(run: Run, json_path: Path) -> Path | None:
    """The plot of a run, in a PNG beside its JSON."""
    return draw(run, json_path.resolve().with_suffix(".png"))


def _shown(path: Path) -> str:
    """Relative to the working folder where that is shorter."""
    return min(str(path), os.path.relpath(path), key=len)


if __name__ == "__main__":
    sys.exit(main())
