"""Every way to run a model that is compared: ours first, then ours without Winograd and the rivals."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from .alibaba_mnn import Mnn
from .base import Call, Runner
from .compiled import Compile
from .eager import GraphedEager, Plain, PlainChannelsLast
from .onnx_runtime import OnnxRuntime
from .open_vino import OpenVino
from .ours import EXACT, OURS, ExactHrnetFast, HrnetFast
from .tencent_ncnn import Ncnn

RIVALS: tuple[Runner, ...] = (
    ExactHrnetFast(), Plain(), PlainChannelsLast(), Compile(freezing=True), Compile(), OnnxRuntime(), OpenVino(),
    Mnn(), Ncnn(), GraphedEager(), Compile("reduce-overhead"), Compile("reduce-overhead", freezing=True),
    Compile("max-autotune"), Compile("max-autotune", freezing=True),
)  # fmt: skip

__all__ = ["EXACT", "OURS", "RIVALS", "Call", "HrnetFast", "Runner", "choose_rivals"]


def choose_rivals(patterns: Sequence[str], device: str) -> list[Runner]:
    """The rivals whose name matches one of the shell wildcards, upper or lower case.

    "all" is every rival that runs on `device` ("cpu" or "cuda"), "none" is no one; a rival of the other device can be
    named, and then says so in its row. Errors: ValueError if a pattern matches no rival.
    """
    if list(patterns) == ["none"]:
        return []
    chosen = []
    for pattern in patterns:
        if pattern == "all":
            found = [rival for rival in RIVALS if device in rival.devices]
        else:
            found = [rival for rival in RIVALS if fnmatch.fnmatch(rival.name.lower(), pattern.lower())]
        if not found:
            names = ", ".join(f"'{rival.name}'" for rival in RIVALS)
            raise ValueError(f"no rival matches {pattern!r}; the rivals are {names}")
        chosen += [rival for rival in found if rival not in chosen]
    return chosen
