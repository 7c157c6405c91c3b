"""Where the report's files lie that are kept between runs and never committed."""

from __future__ import annotations

from benchmarks.sources import ROOT

WORK = ROOT / "build" / "gpu-report"  # compilers' caches, float64 answers and logs
TUNING = WORK / "tuning"  # what was tuned here: tiles by GPU, versions and kernels
