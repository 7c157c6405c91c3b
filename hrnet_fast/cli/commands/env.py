"""What this installation has and lacks: versions, machine, extension, who computes each op, and why."""

from __future__ import annotations

import argparse

from ..output import Result

HELP = "what this installation has and lacks"
EXAMPLES = ("hrnet-fast env", "hrnet-fast env --json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None of its own."""


def run(args: argparse.Namespace) -> Result:
    from hrnet_fast.env import environment, format_environment

    report = environment()
    return Result(report, format_environment(report))
