"""What a GPU does with HRNets: `make gpu-report`, or `python -m benchmarks.gpu --help`.

It runs in parts that resume: each row goes to benchmarks/results/gpu-<gpu>-torch<version>.json the moment it is there,
and a later run does only what is missing, or what our own code changed since.

On a machine that keeps nothing, --mirror FOLDER names a place that outlives it. Before the next run, on any machine
with such a GPU, copy its gpu-* files into benchmarks/results: the report, and gpu-report-kept.tar.gz, which holds
measured tiles, outcomes of tests that were cut off, Triton's kernels unless they are large, and the logs. Commit the
former.
"""

from __future__ import annotations

import importlib.util

import hrnet_fast
from benchmarks.sources import ROOT

# an uninstalled checkout keeps `hrnet_fast.kernels` in the top-level folder kernels/
if importlib.util.find_spec("hrnet_fast.kernels") is None:
    hrnet_fast.__path__.append(str(ROOT))
