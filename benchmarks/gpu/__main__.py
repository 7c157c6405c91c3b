"""`python -m benchmarks.gpu`: measures this machine's GPU in parts that resume, and prints a short table."""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from pathlib import Path

import torch

from benchmarks import machine
from benchmarks.arguments import command_of, positive
from benchmarks.gpu.build import build_in_place, extension_row
from benchmarks.gpu.children import begin, end_all
from benchmarks.gpu.jobs import PARTS
from benchmarks.gpu.kept import keep, restore
from benchmarks.gpu.schedule import Budget, play
from benchmarks.gpu.store import BUILD, Row, Store
from benchmarks.gpu.tables import line_of, terminal_tables
from benchmarks.results import RESULTS
from benchmarks.sources import TUNING, WORK, our_code
from benchmarks.text import shown_path

DRY_FOLDER = WORK / "dry-run"


def main(arguments: Sequence[str] | None = None, child: Callable | None = None) -> int:
    """Exit status: 0 if all that was asked is in the report, and right; 1 if not; 2 for options that make no sense.

    child: runs a job in place of a child process.
    """
    budget_from = time.monotonic()
    options = _parser().parse_args(arguments)
    words = sys.argv[1:] if arguments is None else arguments
    try:
        parts = _parts(options.parts)
        if not options.dry_run and not torch.cuda.is_available():
            raise ValueError("torch sees no CUDA GPU here, so there is nothing to measure (but there is --dry-run)")
        store = Store(_folder(options), _about(options.dry_run, words), options.mirror)
    except (ValueError, OSError) as error:
        print(f"benchmarks.gpu: {error}", file=sys.stderr)
        return 2
    begin()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return _main(options, parts, store, Budget(options.budget, budget_from), child)
    finally:
        end_all()


def _main(options: argparse.Namespace, parts: list[str], store: Store, budget: Budget, child: Callable | None) -> int:
    if options.dry_run:
        print("DRY RUN: tiny stand-ins on the CPU; nothing is measured, and no number below means anything")
    if not options.dry_run and (restored := restore(filter(None, (options.out, options.mirror)))):
        print(restored)
    built = build_in_place() if options.build else None
    if built:
        print(built, flush=True)
    if not options.dry_run:
        _say(store.add(BUILD, extension_row(built)))
    for part, name in list(store.rows):
        if options.again and part in parts and fnmatch(name, options.again):
            store.forget(part, name)
    left: list[str] = []
    extra = {} if child is None else {"child": child}
    for part in parts:
        lacking = [module for module in PARTS[part].needs if importlib.util.find_spec(module) is None]
        if lacking:
            print(f"part {part} is skipped: it needs {' and '.join(lacking)}, which this Python does not have")
            left.append(f"{part}: all")
            continue
        print(f"\n{part}: {budget.left:.0f} s left", flush=True)
        left += play(PARTS[part].jobs(options.dry_run), store, budget, only=options.only, said=_say, **extra)
        _kept(store)  # now, as the machine may be taken back before the end
    return _finish(store, parts, left)


def _kept(store: Store) -> str | None:
    """Leaves in the mirror what the next machine goes on with, and says so."""
    return keep(store.mirror) if store.mirror and not store.about["dry_run"] else None


def _finish(store: Store, parts: Sequence[str], left: Sequence[str]) -> int:
    """Prints the tables, draws the plot, and says what is missing."""
    print("\n" + terminal_tables(store.data()))
    if store.rows:
        print(f"\nresults: {shown_path(store.path)}")
        if importlib.util.find_spec("matplotlib") is not None:
            from benchmarks.gpu.picture import draw

            for folder in filter(None, (store.path.parent, store.mirror)):
                if picture := draw(store.data(), (folder / store.path.name).with_suffix(".png")):
                    print(f"plot: {shown_path(picture)}")
    for file in sorted(TUNING.glob("*.json")):
        copied = f"; copied to {store.mirror}" if store.mirror and shutil.copy(file, store.mirror) else ""
        print(f"measured tiles: {shown_path(file)}{copied}")
    if told := _kept(store):
        print(told)
    if left:
        shown = "; ".join(left[:6]) + ("; …" if len(left) > 6 else "")
        print(f"{len(left)} rows are left for another run (the same command goes on): {shown}")
    asked = {*parts, BUILD}
    bad = [row for row in store.rows.values() if row["part"] in asked and row["status"] in ("failed", "wrong")]
    return 1 if left or any(row["part"] != "baselines" for row in bad) else 0


def _say(row: Row) -> None:
    print(line_of(row), flush=True)


def _about(dry_run: bool, words: Sequence[str]) -> dict[str, object]:
    """What the report says of the machine and the sources."""
    about = {"dry_run": dry_run, "torch": torch.__version__, "machine": machine.describe_machine()}
    if dry_run:
        about |= {"gpu": "none (dry run)", "device": {}}
    else:
        device = torch.cuda.get_device_properties(0)
        about |= {
            "gpu": device.name,
            "device": {
                "capability": f"{device.major}.{device.minor}",
                "multiprocessors": device.multi_processor_count,
                "memory_gib": round(device.total_memory / 2**30),
                "l2_mib": round(getattr(device, "L2_cache_size", 0) / 2**20),
                "cudnn": torch.backends.cudnn.version(),
            },
        }
    command = command_of("python -m benchmarks.gpu", words)
    sources = {"commit": machine.commit(), "code": our_code()}
    return {**about, "versions": machine.versions(), **sources, "command": command}


def _folder(options: argparse.Namespace) -> Path:
    """Dry runs never write among the results."""
    return DRY_FOLDER if options.dry_run and options.out == RESULTS else options.out


def _parts(text: str) -> list[str]:
    parts = [word.strip() for word in text.split(",") if word.strip()]
    unknown = [part for part in parts if part not in PARTS]
    if unknown or not parts:
        raise ValueError(f"--parts takes some of {','.join(PARTS)}, not {text!r}")
    return parts


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        allow_abbrev=False,
        description="Tests, checks and measures hrnet_fast on this machine's GPU, beside what torch itself reaches.",
        epilog="Rows that are in the report already are not made again, unless our sources changed since. "
        "example: python -m benchmarks.gpu --parts micro,ours --budget 540",
    )
    everything = ",".join(name for name, part in PARTS.items() if not part.asked)
    told = f"in this order ({everything}); also suites: the tests of kernels and engine, which hardly use the GPU"
    parser.add_argument("--parts", default=everything, metavar="PART,...", help=told)
    parser.add_argument("--budget", type=positive(float), default=540, metavar="SECONDS", help="of this run (540)")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="rows whose name matches, as '*b1 float16*'")
    parser.add_argument("--again", metavar="PATTERN", help="make these rows again, though they are there")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FOLDER", help="default: benchmarks/results")
    told = "a second folder that gets what another machine can go on with: the report, measured tiles, compiled kernels"
    parser.add_argument("--mirror", type=Path, metavar="FOLDER", help=told)
    parser.add_argument("--build", action="store_true", help="first compile the extension in place, for this GPU alone")
    parser.add_argument("--dry-run", action="store_true", help="try the script itself on a CPU; measures nothing")
    return parser


if __name__ == "__main__":
    sys.exit(main())
