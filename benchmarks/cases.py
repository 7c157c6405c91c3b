"""What is measured: cases are data, profiles are lists of them."""

from __future__ import annotations

import difflib
import fnmatch
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from hrnet_fast.models import ARCHITECTURES, list_models, model_config

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Case:
    """One comparison: model (a name of `hrnet_fast.list_models`), input height and width in pixels, batch, dtype."""

    model: str
    height: int
    width: int
    batch: int
    dtype: str

    def __str__(self) -> str:
        return f"{self.model}-{self.size}-b{self.batch}-{self.dtype}"

    @property
    def size(self) -> str:
        return f"{self.height}x{self.width}"

    @property
    def torch_dtype(self) -> torch.dtype:
        return DTYPES[self.dtype]


@dataclass(frozen=True)
class Input:
    """A model at one input size; batches: None for the batches of the profile."""

    model: str
    height: int
    width: int
    batches: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Profile:
    """Every input at every batch and dtype; left_out: runners not run, and why; seconds: timing budget of a case."""

    inputs: tuple[Input, ...]
    batches: tuple[int, ...]
    dtypes: tuple[str, ...]
    seconds: float
    left_out: tuple[tuple[str, str], ...] = ()


_POSE = Input("hrnet_w32.pose_coco_256x192", 256, 192)
_FULL = (
    _POSE,
    Input("hrnet_w48.pose_coco_384x288", 384, 288),
    Input("hrnet_w18.cls_in1k", 224, 224),
    Input("hrnet_w48.seg_cityscapes", 512, 1024, batches=(1,)),
)
_EVERY_ARCHITECTURE = tuple(Input(f"{arch}.cls_in1k", 224, 224, batches=(1,)) for arch in ARCHITECTURES)
_EVERY_HEAD = (
    Input("hrnet_w18.landmark_wflw", 256, 256, batches=(1,)),
    Input("hrnet_w48.seg_ocr_cityscapes", 512, 1024, batches=(1,)),
    Input("hrnet_w32.det_coco", 512, 512, batches=(1,)),
    Input("hrnet_w32.features", 256, 256, batches=(1,)),
)
_GPU = (
    Input("hrnet_w32.pose_coco_256x192", 256, 192, batches=(1, 64)),
    Input("hrnet_w48.pose_coco_384x288", 384, 288),
    Input("hrnet_w18.cls_in1k", 224, 224),
    Input("hrnet_w18.seg_cityscapes", 512, 1024),
    Input("hrnet_w48.seg_cityscapes", 1024, 2048),
)
_BUILD_OPT_IN = "left out of this profile, as its build takes about a minute a case; add --rivals all"
_TUNING_TOO_LONG = "left out of this profile, as its build takes many minutes; add --rivals all"
_BUILD_TOO_LONG = "left out of the short profile, as its build takes about a minute; add --rivals all"

# short: the main job, in minutes. cpu: what the CPU engine is held to, case by case (--resume). full: the same cases
# with every rival. gpu: the GPU's. all: every architecture and head once.
PROFILES = {
    "short": Profile((_POSE,), (1,), ("float32", "bfloat16"), 20.0, (("torch.compile", _BUILD_TOO_LONG),)),
    "full": Profile(_FULL, (1, 16), ("float32", "bfloat16"), 60.0),
    "cpu": Profile(
        _FULL, (1, 16), ("float32", "bfloat16"), 30.0,
        tuple((f"torch.compile{end}", _BUILD_OPT_IN) for end in ("", " freezing")),
    ),
    "gpu": Profile(
        _GPU, (1,), ("float16", "bfloat16"), 20.0,
        tuple((f"torch.compile max-autotune{end}", _TUNING_TOO_LONG) for end in ("", " freezing")),
    ),
    "all": Profile(
        _FULL + tuple(i for i in _EVERY_ARCHITECTURE if i.model != "hrnet_w18.cls_in1k") + _EVERY_HEAD,
        (1, 16), ("float32", "bfloat16"), 30.0,
    ),
}  # fmt: skip


def words_of(text: str | None) -> list[str]:
    """Those between commas."""
    return [word.strip() for word in text.split(",") if word.strip()] if text else []


def make_cases(
    profile: str,
    models: Sequence[str] = (),
    batches: Sequence[int] = (),
    dtypes: Sequence[str] = (),
    size: tuple[int, int] | None = None,
) -> list[Case]:
    """The cases of a profile, changed by what is given.

    models: shell wildcards over `list_models`, in place of the profile's models; each at the profile's size for it, or
    else at its own evaluation size. batches, dtypes: in place of the profile's. size: (height, width) for all models.
    Errors: ValueError that names the value and what can be chosen.
    """
    chosen = PROFILES[profile]
    for dtype in dtypes:
        if dtype not in DTYPES:
            raise ValueError(f"dtype {dtype!r} is not one of {', '.join(DTYPES)}")
    for number in (*batches, *(size or ())):
        if number < 1:
            raise ValueError(f"batch and size must be positive, not {number}")
    inputs = _inputs_of(models) if models else chosen.inputs
    return [
        Case(given.model, *(size or (given.height, given.width)), batch, dtype)
        for given in inputs
        for batch, dtype in itertools.product(batches or given.batches or chosen.batches, dtypes or chosen.dtypes)
    ]


def cases_named(
    profile: str, models: str | None, size: str | None, batches: str | None, dtypes: str | None
) -> list[Case]:
    """The same of the texts of options, with commas."""
    numbers = [positive_int("--batch", word) for word in words_of(batches)]
    return make_cases(profile, words_of(models), numbers, words_of(dtypes), parse_size(size) if size else None)


def positive_int(option: str, text: object) -> int:
    """Errors: ValueError that names the option."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise ValueError(f"{option} takes whole numbers from 1, not {text!r}")
    return number


def parse_size(text: str) -> tuple[int, int]:
    """'256x192' -> (256, 192), height first."""
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if match is None:
        raise ValueError(f"size {text!r} is not HEIGHTxWIDTH in pixels, such as 256x192")
    return int(match[1]), int(match[2])


def _inputs_of(patterns: Sequence[str]) -> list[Input]:
    known = {given.model: given for given in PROFILES["all"].inputs}
    names: dict[str, None] = {}
    for pattern in patterns:
        matches = fnmatch.filter(list_models(), pattern)
        if not matches:
            close = difflib.get_close_matches(pattern, list_models(), n=3, cutoff=0.3)
            hint = f"did you mean {' or '.join(close)}?" if close else "see `hrnet-fast list`"
            raise ValueError(f"no model matches {pattern!r}; {hint}")
        names |= dict.fromkeys(matches)
    return [known.get(name) or Input(name, *model_config(name).input_size) for name in names]
