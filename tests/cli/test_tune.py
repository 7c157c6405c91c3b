"""hrnet-fast tune on a CPU: the table, the network's ratio, and JSON, of measurements that the test makes up."""

from functools import partial

import pytest

from hrnet_fast.engine.cpu import tune as tune_module
from hrnet_fast.engine.cpu.conv_kernels import DIRECT, Kernel
from hrnet_fast.engine.cpu.tune import TunedKernel
from hrnet_fast.engine.executors import native

ARGUMENTS = ("tune", "hrnet_w18_small.pose_coco_256x192", "--size", "64x64", "--device", "cpu")
NO_NATIVE = native.unsupported()
pytestmark = pytest.mark.skipif(NO_NATIVE is not None, reason=str(NO_NATIVE))


def measured(monkeypatch, choice, network):
    """choice: of every shape, in 1000 us, for 123456.7 by default. network: microseconds before and after."""
    monkeypatch.setattr(tune_module, "tune_shape", lambda *_: TunedKernel(choice, 1000.0, DIRECT, 123456.7))
    times = iter(network)
    monkeypatch.setattr(tune_module, "_clock", lambda compiled: partial(float, next(times)))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HRNET_FAST_CACHE", str(tmp_path))
    return tmp_path


def test_a_gain_is_kept_and_not_measured_again(run, folder, monkeypatch):
    measured(monkeypatch, Kernel(2, 48), (3e6, 1e6))
    *table, network, kept = run(*ARGUMENTS).out.splitlines()
    assert len(table) > 3 and all(len(line) <= 100 for line in (*table, network))
    assert table[1].split()[-7:] == ["direct", "123456.7us", "F(2x2)", "by", "48", "1000.0us", "123.46x"]
    assert network == "the whole network: 3000.00 ms -> 1000.00 ms, 3.000x as fast, faster in 11 of 11 rounds"
    assert kept == f"kept in {folder}" and len(list(folder.glob("*.json"))) == 1
    again = run(*ARGUMENTS, "--json").json()
    assert (again["convolutions"], again["network"], again["cache"]) == ([], None, str(folder))
    assert run(*ARGUMENTS).out == f"every convolution was measured before; the results lie in {folder}\n"


def test_no_gain_is_not_kept(run, folder, monkeypatch):
    measured(monkeypatch, Kernel(2, 48), (3e6, 3e6))
    data = run(*ARGUMENTS, "--json").json()
    assert data["network"] == {"before_ms": 3000.0, "ms": 3000.0, "ratio": 1.0} and data["kept"] is False
    row = data["convolutions"][0]
    assert (row["before"], row["tuned"], row["gain"]) == ("direct", "F(2x2) by 48", 123.457)
    measured(monkeypatch, Kernel(2, 48), (3e6, 3e6))
    *_, network, end = run(*ARGUMENTS).out.splitlines()
    assert network.endswith("1.000x as fast, faster in 0 of 11 rounds") and end == "not kept, as that is no clear gain"
    assert not list(folder.iterdir())


def test_kernels_that_stay_the_fastest_are_kept_until_they_are_measured_again(run, folder, monkeypatch):
    measured(monkeypatch, DIRECT, ())
    assert run(*ARGUMENTS).out.endswith(f"no kernel is clearly faster than those of before\nkept in {folder}\n")
    assert "measured before" in run(*ARGUMENTS).out
    measured(monkeypatch, Kernel(2, 48), (3e6, 1e6))
    assert "3.000x as fast" in run(*ARGUMENTS, "--again").out


def test_without_a_device_the_cpu_is_tuned_where_there_is_no_gpu(run, folder, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    measured(monkeypatch, Kernel(2, 48), (3e6, 1e6))
    assert run(*ARGUMENTS[:-2], "--json").json()["kept"]


@pytest.mark.parametrize("dtype", ["float64"])
def test_a_dtype_without_a_choice_is_told_in_one_sentence(run, folder, dtype):
    result = run(*ARGUMENTS, "--dtype", dtype)
    assert result.code == 2 and result.err.count("\n") == 1
    assert "there is nothing to tune: the executor 'reference' on cpu has no choice of kernels" in result.err
