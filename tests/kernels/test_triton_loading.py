"""Loading the Triton kernels: one copy for all threads, and Triton's own settings as they were."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier

import pytest

triton = pytest.importorskip("triton", reason="Triton is not installed")
from hrnet_fast.kernels import triton as kernels  # noqa: E402


@pytest.mark.parametrize("interpreted", [False, True], ids=["compiled", "interpreted"])
def test_threads_share_one_copy_and_leave_no_setting(interpreted, monkeypatch):
    monkeypatch.setattr(kernels, "_load", cache(kernels._load.__wrapped__))
    settings, variable = dict(triton.knobs.runtime.__dict__), os.environ.get("TRITON_INTERPRET")
    together = Barrier(8)

    def load(_):
        together.wait()
        return kernels.kernel("level", interpreted)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(map(id, pool.map(load, range(8))))) == 1
    assert triton.knobs.runtime.__dict__ == settings
    assert os.environ.get("TRITON_INTERPRET") == variable
