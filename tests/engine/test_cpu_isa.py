"""HRNET_FAST_CPU_ISA: what it forces, what it says, and what it refuses. It is read once: each value has a process."""

import json
import os
import subprocess
import sys

import pytest

from hrnet_fast import env, kernels

EXTENSION = kernels.extension()
pytestmark = pytest.mark.skipif(EXTENSION.module is None, reason=str(EXTENSION.reason))
FEATURES = {"avx512": "avx512f", "avx2": "avx2"}  # the CPU's, by the instruction set that needs it

SCRIPT = """
import json
import torch
from hrnet_fast import create_model, env, explain, kernels, optimize, verify
from hrnet_fast.numerics import relative_l2, within_tolerance
from hrnet_fast.weights.random import fill_weights, without_init

def tried(call):
    try:
        return call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"

def network():
    with without_init():
        model = create_model("hrnet_w18_small.features")
    fill_weights(model)
    x = torch.randn(1, 3, 64, 32)
    fast = optimize(model)
    level = explain(fast, x).levels[0]
    return [level.executor, level.reason, verify(model, fast, x).passed]

def op():
    x, y = torch.randn(2, 5, 7, 9), torch.randn(2, 5, 4, 3)
    how = (7, 9), "bilinear", False, True
    exact, plain = (kernels.fuse_sum_ref([x.to(dtype), y.to(dtype)], *how) for dtype in (torch.float64, torch.float32))
    return within_tolerance(relative_l2(kernels.fuse_sum([x, y], *how), exact), relative_l2(plain, exact))

def native():
    model = create_model("hrnet_w18_small.features")
    return optimize(model, executor="native").executor.isa

report = env.environment()
row = next(line for line in env.format_environment(report).splitlines() if line.startswith("CPU kernels"))
machine = report["machine"]
print(json.dumps({
    "isa": machine["isa"], "asked": machine["isa_asked"], "refused": machine["isa_refused"], "row": row[20:],
    "features": machine["features"], "network": tried(network), "op": tried(op), "native": tried(native),
}))
"""


def seen(isa: str) -> dict:
    """What a process finds for which HRNET_FAST_CPU_ISA is `isa`."""
    environment = os.environ | {"HRNET_FAST_CPU_ISA": isa, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("isa", FEATURES)
def test_it_forces_every_kernel(isa):
    if not EXTENSION.module.cpu_features()[FEATURES[isa]]:
        pytest.skip(f"this CPU has no {isa}")
    found = seen(isa)
    assert (found["isa"], found["asked"], found["refused"]) == (isa, isa, None)
    in_bfloat16 = ", avx512-bf16 in bfloat16" if isa == "avx512" and EXTENSION.module.cpu_isa_bfloat16() else ""
    assert found["row"] == f"{isa} instructions{in_bfloat16}, as HRNET_FAST_CPU_ISA asks"
    executor, reason, passed = found["network"]
    assert executor == "native" and passed
    assert reason.startswith({"avx512": "AVX-512: ", "avx2": "AVX2: "}[isa])
    assert found["op"] is True and found["native"] == isa
    assert found["features"] == EXTENSION.module.cpu_features()  # the CPU's own, whatever is forced


def test_portable_networks_are_played_by_whoever_is_faster():
    found = seen("portable")
    assert found["isa"] == found["native"] == "portable" and found["op"] is True
    executor, reason, passed = found["network"]
    assert executor in ("native", "onednn") and passed
    assert "fastest of " in reason and "native" in reason and "onednn" in reason


def test_an_unknown_one_is_refused_at_first_use_and_told_by_env():
    found = seen("sse9")
    sentence = "HRNET_FAST_CPU_ISA=sse9 is not known: choose avx512, avx2 or portable, or leave it unset"
    assert found["network"] == found["op"] == found["native"] == f"RuntimeError: {sentence}"
    assert (found["isa"], found["refused"]) == (None, sentence)
    assert found["row"] and sentence.startswith(found["row"])  # it goes on below


def test_one_that_the_cpu_lacks_is_refused():
    missing = [isa for isa, feature in FEATURES.items() if not EXTENSION.module.cpu_features()[feature]]
    if not missing:
        pytest.skip("this CPU has them all; csrc/standalone/check_items.cpp asks for one on behalf of a smaller CPU")
    found = seen(missing.pop())
    assert "cannot be used: this CPU has no AVX" in found["network"]
    assert found["refused"] is not None


def test_the_report_tells_a_refusal_in_its_row():
    report = env.environment()
    report["machine"] |= {"isa": None, "isa_refused": "HRNET_FAST_CPU_ISA=avx512 cannot be used: this CPU has no AVX"}
    assert "HRNET_FAST_CPU_ISA=avx512 cannot be used" in env.format_environment(report)


def test_a_program_of_an_instruction_set_that_is_not_here_is_refused():
    with pytest.raises(ValueError, match="there are no kernels for isa='neon' here"):
        EXTENSION.module.CpuProgram("neon")
