"""Names of the models, one a line, each with its head, number of outputs and input height x width."""

from __future__ import annotations

import argparse

from ..arguments import UsageError
from ..output import Result

HELP = "the models, by name"
EXAMPLES = ("hrnet-fast list", "hrnet-fast list pose", "hrnet-fast list 'hrnet_w18*.cls_*'")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pattern", nargs="?", default="*", help="a shell wildcard, or a part of the name")


def run(args: argparse.Namespace) -> Result:
    from hrnet_fast import list_models, model_config

    pattern = args.pattern if any(sign in args.pattern for sign in "*?[") else f"*{args.pattern}*"
    configs = [model_config(name) for name in list_models(pattern)]
    if not configs:
        raise UsageError(f"no model matches {args.pattern!r}: `hrnet-fast list` names them all")
    rows = [
        {
            "name": config.name,
            "head": config.head,
            "outputs": config.num_outputs or None,
            "height": config.input_size[0],
            "width": config.input_size[1],
        }
        for config in configs
    ]
    widest = max(len(config.name) for config in configs)
    text = "\n".join(
        f"{row['name']:<{widest}} {row['head']:<18} {row['outputs'] or '-':>5} {row['height']:>5}x{row['width']}"
        for row in rows
    )
    return Result({"models": rows}, text)
