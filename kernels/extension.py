"""Loads the compiled extension `_C`, or keeps the reason why not: an import never fails for want of it."""

import hashlib
import importlib
import json
import sysconfig
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

RECORD = Path(__file__).with_name("_build.json")
REBUILD = "build it with `pip install --no-build-isolation -e .` (or a path to the sources in place of `.`)"


@dataclass(frozen=True)
class Extension:
    """What is loaded.

    module: the Python module `_C`, or None.
    kind: "cuda" (C++ and CUDA ops), "cpu" (C++ ops) or "none".
    reason: one sentence on why `kind` is not more, or None.
    build: what the build wrote down (torch, compiler, flags ...); empty if there was no build.
    """

    module: ModuleType | None
    kind: str
    reason: str | None
    build: dict[str, Any]

    @property
    def compiled(self) -> ModuleType:
        """`_C`. Raises RuntimeError with the reason where it is not loaded."""
        if self.module is None:
            raise RuntimeError(self.reason)
        return self.module

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the compiled file in hexadecimal; "none" where none is loaded."""
        file = self.module and self.module.__file__
        return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else "none"


def refusal(build: dict[str, Any]) -> str | None:
    """One sentence on why an extension with this build record must not be loaded here, or None."""
    if not build:
        return f"the C++ extension was not built: {REBUILD}"
    if build["kind"] == "none":
        kinds: dict[str, list[str]] = {}
        for kind, reason in build["reasons"].items():
            kinds.setdefault(reason, []).append(kind)
        reasons = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in kinds.items())
        return f"the C++ extension was not built ({reasons})"
    here = {
        "torch": ".".join(torch.__version__.split(".")[:2]),
        "Python": sysconfig.get_python_version(),
        "CUDA": (torch.version.cuda or "none").split(".")[0],
    }
    built_for = {
        "torch": ".".join(build["torch"].split(".")[:2]),
        "Python": build["python"],
        "CUDA": (build["cuda"] or here["CUDA"]).split(".")[0],
    }
    for name, version in here.items():
        if version != built_for[name]:
            return f"the C++ extension was built for {name} {built_for[name]}, and this is {name} {version}: {REBUILD}"
    return None


def load(record: Path = RECORD) -> Extension:
    """Reads the build record, then opens the extension if it fits the torch that is running."""
    build = json.loads(record.read_text()) if record.exists() else {}
    reason = refusal(build)
    if reason is not None:
        return Extension(None, "none", reason, build)
    try:
        module = importlib.import_module(f"{__package__}._C")
    except ImportError as error:
        return Extension(None, "none", f"the C++ extension could not be opened ({error}): {REBUILD}", build)
    asked = "the extension was built without CUDA, as HRNET_FAST_BUILD=cpu asks" if build["kind"] == "cpu" else None
    return Extension(module, build["kind"], build["reasons"].get("cuda", asked), build)


@cache
def extension() -> Extension:
    """The extension of this process, opened once."""
    return load()
