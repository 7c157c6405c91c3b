"""From arguments to an exit code: 0 done, 1 not all of it: a check failed, say, 2 bad usage or input."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from textwrap import wrap

from hrnet_fast import __version__

from .arguments import Parser, UsageError, add_common
from .commands import COMMANDS
from .output import Result, to_json

WIDTH = 100
BAD_INPUT, INTERRUPTED = 2, 130
# What the library raises, with a sentence that says what to do.
EXPECTED = (ValueError, TypeError, KeyError, RuntimeError, OSError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    argv: the arguments after the program's name; None for the process's own. --help and --version raise SystemExit(0).
    """
    debug = "--debug" in (sys.argv[1:] if argv is None else argv)
    try:
        args = _parser().parse_args(argv)
        if args.threads:
            _set_threads(args.threads)
        result = args.run(args)
        _write(result, args.json)
        return result.code
    except EXPECTED as error:
        if debug and not isinstance(error, UsageError):
            raise
        print(f"hrnet-fast: {_sentence(error)}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt as interrupt:
        print(": ".join(["hrnet-fast: interrupted", *map(str, interrupt.args)]), file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="hrnet-fast",
        description="Run any HRNet fast, with the same numbers.",
        epilog="example:\n  hrnet-fast explain hrnet_w32.pose_coco_256x192\n\nhrnet-fast COMMAND --help tells more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"hrnet-fast {__version__}")
    add_common(parser)
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        sub = commands.add_parser(
            name,
            help=command.HELP,
            description="\n\n".join("\n".join(wrap(part, WIDTH)) for part in (command.__doc__ or "").split("\n\n")),
            epilog="examples:\n" + "\n".join(map(_example, command.EXAMPLES)),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(sub)
        add_common(sub, inherited=True)
        sub.set_defaults(run=command.run)
    return parser


def _example(line: str) -> str:
    """As a shell takes it, in lines that fit a terminal."""
    parts = wrap(line, WIDTH - 8, break_long_words=False, break_on_hyphens=False)
    return "  " + " \\\n      ".join(parts)


def _set_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


def _write(result: Result, json: bool) -> None:
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # what its encoding lacks, and names that are no text
    try:
        print(to_json(result.data) if json else result.text, flush=True)
    except BrokenPipeError:
        # The reader (head, less) has seen enough; what Python still flushes at its end must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        raise OSError(error.errno, error.strerror, "standard output") from None


def _sentence(error: Exception) -> str:
    """The first line of a message; a KeyError's as it was given, not quoted."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    message = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    return next((line for line in message.splitlines() if line.strip()), type(error).__name__)
