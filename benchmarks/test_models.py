"""Whole models: ours is checked, then timed in turns with every rival."""

from __future__ import annotations

import pytest
import torch

from benchmarks.compare import compare, synchronized
from benchmarks.runners import OURS
from hrnet_fast.models import SizeError

_ROUNDS = 5


def test_model(case, session, ours, progress, benchmark):
    """Ours keeps the tolerance; the comparison goes to the report, a few more rounds of ours to pytest-benchmark."""
    if reason := session.reason_to_skip(case):
        pytest.skip(reason)
    session.look_around(progress)
    options = {"device": session.device, "seconds": session.seconds, "left_out": session.left_out, "progress": progress}
    try:
        done = compare(case, ours, session.rivals, **options)
    except SizeError as error:
        pytest.fail(str(error), pytrace=False)
    session.add(done)
    for row in done.rows:
        assert not row.executor.startswith(OURS) or row.status in ("ok", "not run"), f"{row.executor}: {row.reason}"
    assert done.our_call is not None, "ours did not run"
    benchmark.extra_info |= {f"{row.executor} p50_us": row.p50_us for row in done.rows if row.timed}
    with torch.inference_mode():
        benchmark.pedantic(lambda: synchronized(done.our_call, session.device), rounds=_ROUNDS, warmup_rounds=1)
