"""The checkout, where its work lies, and which of its sources numbers came from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# of the GPU report, kept between runs and never committed: compilers' caches, float64 answers, logs; tiles tuned here
WORK = ROOT / "build" / "gpu-report"
TUNING = WORK / "tuning"

_OURS = ("hrnet_fast/**/*.py", "kernels/**/*.py", "csrc/**/*")
_QUESTION = (
    "hrnet_fast/models/*.py",
    "hrnet_fast/weights/random.py",
    "hrnet_fast/numerics.py",
    "benchmarks/photo.py",
    "benchmarks/compare.py",
)


def our_code() -> str:
    """Twelve digits that change with any source file of the library: numbers of other digits are measured again."""
    return fingerprint(_OURS)


def question_code() -> str:
    """Twelve digits that change with what the float64 answers depend on."""
    return fingerprint(_QUESTION)


@cache
def fingerprint(patterns: Sequence[str]) -> str:
    """Of the names and contents of all files that match; the same in a copy without its version control."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file()}):
        if path.suffix in (".py", ".cpp", ".cu", ".cuh", ".h"):
            digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
