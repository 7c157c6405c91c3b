"""Arguments that several commands share."""

from __future__ import annotations

import argparse
import re
from typing import NoReturn

MOST_THREADS = 1024  # beyond some thousands OpenMP ends the process
DTYPES = ("float32", "bfloat16", "float16", "float64")
NAME = "a name of `hrnet-fast list`"
# The data sets that `evaluate` reads and `synth` writes.
DATASETS = (
    "coco", "mpii", "crowdpose", "cityscapes", "lip", "pascal_context59", "pascal_context60", "wflw", "300w", "cofw",
    "aflw", "imagenet",
)  # fmt: skip
NAME_OR_FILE = f"{NAME}, or a file of `hrnet-fast save`"


class UsageError(ValueError):
    """The command line itself is wrong; the message is one sentence."""


class Parser(argparse.ArgumentParser):
    """Reports a wrong command line as an exception, like any other bad input."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def add_common(parser: argparse.ArgumentParser, inherited: bool = False) -> None:
    """--json, --threads and --debug; `inherited`: for a command, which keeps what was given before its name."""

    def default(value: bool | None) -> bool | str | None:
        return argparse.SUPPRESS if inherited else value

    group = parser.add_argument_group("everywhere")
    group.add_argument("--json", action="store_true", default=default(False), help="print one JSON object instead")
    group.add_argument("--threads", type=threads, metavar="N", default=default(None), help="CPU threads to use")
    group.add_argument("--debug", action="store_true", default=default(False), help="show the traceback of an error")


def add_model(parser: argparse.ArgumentParser) -> None:
    """MODEL or --model MODEL, and --outputs."""
    parser.add_argument("model_first", nargs="?", metavar="MODEL", help=NAME_OR_FILE)
    add_model_option(parser, False, "the same, as an option")


def add_model_option(parser: argparse.ArgumentParser, required: bool = True, what: str = NAME_OR_FILE) -> None:
    """--model MODEL, and --outputs. what: the help."""
    parser.add_argument("--model", metavar="MODEL", required=required, help=what)
    parser.add_argument(
        "--outputs", type=positive, metavar="N", help="keypoints or classes, if not those of the name's data set"
    )


def add_input(parser: argparse.ArgumentParser) -> None:
    """--size, --batch, --dtype."""
    parser.add_argument("--size", type=size, metavar="HxW", help="height and width in pixels (default: the model's)")
    parser.add_argument("--batch", type=positive, default=1, metavar="N", help="images at once (default: 1)")
    add_dtype(parser)


def add_dtype(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dtype", type=dtype, default="float32", metavar="DTYPE", help=f"{', '.join(DTYPES)} (default: float32)"
    )


def add_weights(parser: argparse.ArgumentParser, required: bool = False) -> None:
    told = "a checkpoint of any HRNet code base" + ("" if required else " (default: random)")
    parser.add_argument("--weights", type=file_name, metavar="FILE", required=required, help=told)


def add_executor(parser: argparse.ArgumentParser) -> None:
    names = "auto, native, onednn, triton, cuda, cuda-chains, cudnn or reference (default: auto)"
    parser.add_argument("--executor", default="auto", metavar="NAME", help=names)


def add_device(parser: argparse.ArgumentParser, default: str | None = "cpu") -> None:
    """default: None for what the command finds."""
    told = default or "cuda if there is a GPU, else cpu"
    parser.add_argument("--device", default=default, metavar="NAME", help=f"cpu, cuda or cuda:1 (default: {told})")


def model_name(args: argparse.Namespace) -> str:
    """The model that was named, first or by --model."""
    first, option = getattr(args, "model_first", None), args.model
    if first and option and first != option:
        raise UsageError(f"two models were named, {first!r} and {option!r}: name one")
    if not (first or option):
        raise UsageError("no model was named: `hrnet-fast list` names them all")
    return first or option


def size(text: str) -> tuple[int, int]:
    """'256x192' -> (256, 192), height first."""
    match = re.fullmatch(r"([1-9]\d{0,8})x([1-9]\d{0,8})", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not HEIGHTxWIDTH in pixels, such as 256x192")
    return int(match[1]), int(match[2])


def positive(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    if len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is more than 999999999")
    return int(text)


def threads(text: str) -> int:
    if positive(text) > MOST_THREADS:
        raise argparse.ArgumentTypeError(f"{text!r} is more than {MOST_THREADS} threads")
    return int(text)


def file_name(text: str) -> str:
    if not text:  # of a variable that a script has not set
        raise argparse.ArgumentTypeError("it names no file")
    return text


def dtype(text: str) -> str:
    if text not in DTYPES:
        raise argparse.ArgumentTypeError(f"{text!r} is not known; choose one of {', '.join(DTYPES)}")
    return text
