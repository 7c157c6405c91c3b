"""The native executor beside other threads and processes: forks, several callers, affinity, more threads than cores.

What could hang runs in a process of its own, with a timeout.
"""

import ctypes
import os
import subprocess
import sys

import pytest
import torch

from hrnet_fast import create_model, kernels, optimize
from hrnet_fast.engine.cpu import compiled, memory
from hrnet_fast.engine.executors import native
from tests.golden import fill
from tests.threads import at_once

NO_NATIVE = native.unsupported()
pytestmark = pytest.mark.skipif(NO_NATIVE is not None, reason=str(NO_NATIVE))
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux alone has it")

START = """
import itertools, os, sys, threading, torch
from hrnet_fast import create_model, optimize
from tests.golden import fill
fast = optimize(fill(create_model("hrnet_w18_small.pose_coco_256x192")), executor="native")
x = torch.randn(1, 3, 64, 64)
"""


def run_alone(script: str) -> str:
    """What a script prints in a process of its own, given five minutes."""
    command = [sys.executable, "-c", START + script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def nets():
    tags = ("hrnet_w18_small.pose_coco_256x192", "hrnet_w18_small.seg_lip")
    return [optimize(fill(create_model(tag)), executor="native") for tag in tags]


FORKS = """
def child_exits_well(play):
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if play() else 1)
        except BaseException:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

torch.set_num_threads(2)
want = fast(x)
large = torch.randn(1, 3, 256, 256)  # the copy of which is shared among threads
larger = fast(large)
same = lambda: torch.equal(fast(x), want) and torch.equal(fast(large), larger)
print(child_exits_well(same))
print(same())
print(child_exits_well(lambda: child_exits_well(same) and same()))  # a child's child
print(child_exits_well(lambda: len(os.listdir("/proc/self/task")) == 1 and same() and
                       len(os.listdir("/proc/self/task")) == min(2, len(os.sched_getaffinity(0)))))

def fork_beside(call):
    stop = threading.Event()
    def go_on():
        while not stop.is_set():
            call()
    caller = threading.Thread(target=go_on)
    caller.start()
    good = all(child_exits_well(same) for _ in range(5))
    stop.set(), caller.join()
    return good
print(fork_beside(lambda: fast(x)))
sizes = itertools.count(2)
print(fork_beside(lambda: fast.plan_for(torch.empty(1, 3, 32, 32 * next(sizes)))))  # which holds a lock

class Pictures(torch.utils.data.Dataset):
    def __len__(self):
        return 4
    def __getitem__(self, index):
        return fast(x)[0]
loader = torch.utils.data.DataLoader(Pictures(), num_workers=2, multiprocessing_context="fork", timeout=60)
print(all(torch.equal(y, want) for y in loader))
"""


@linux
def test_forks_after_use():
    assert run_alone(FORKS).split() == ["True"] * 7


def test_callers_of_one_module_and_of_two(nets):
    inputs = [torch.randn(n, 3, 64, 64) for n in (1, 2, 1)]
    want = [[net(x) for x in inputs] for net in nets]
    for together in (nets[:1], nets):
        calls = [lambda net=net, x=x: net(x) for net in together for x in inputs for _ in range(2)]
        expected = [y for k in range(len(together)) for y in want[k] for _ in range(2)]
        for got, y in zip(at_once(lambda call: call(), calls), expected):
            assert torch.equal(got, y)


def test_first_calls_at_once():
    fast = optimize(fill(create_model("hrnet_w18_small.pose_coco_256x192")), executor="native")
    x = torch.randn(1, 3, 64, 64)
    first, *others = at_once(fast, [x] * 3)
    assert all(torch.equal(first, y) for y in others)


def test_the_number_of_threads_is_that_of_the_calling_one(nets):
    x = torch.randn(1, 3, 64, 64)
    torch.set_num_threads(2)
    want = nets[0](x)

    def alone():
        torch.set_num_threads(1)
        return nets[0](x)

    for y in at_once(lambda call: call(), [alone, alone, lambda: nets[0](x)]):
        assert torch.equal(y, want)
    for count in (1, 8, 3, 64):
        torch.set_num_threads(count)
        assert torch.equal(nets[0](x), want)


NUMBER_OF_THREADS = """
started = lambda: len(os.listdir("/proc/self/task"))
torch.set_num_threads(1)
before = started()
want = fast(x)
caller = threading.Thread(target=lambda: print(torch.equal(fast(x), want), started() == before + 1))
caller.start(), caller.join()  # where torch's number is that of the main thread, and OpenMP's is not
torch.set_num_threads(64)
before = started()
print(torch.equal(fast(x), want), started() - before <= len(os.sched_getaffinity(0)) - 1)
"""


@linux
def test_no_more_threads_than_asked_for_or_than_cores():
    assert run_alone(NUMBER_OF_THREADS).split() == ["True"] * 4


AFFINITY = """
cores = os.sched_getaffinity(0)
torch.set_num_threads(2)
want = fast(x)
for allowed in ({min(cores)}, cores, {max(cores)}):
    os.sched_setaffinity(0, allowed)
    print(torch.equal(fast(x), want))
"""


@linux
def test_affinity_that_changes():
    assert run_alone(AFFINITY).split() == ["True"] * 3


@linux
def test_one_core_from_the_start():
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})  # of this thread, and what it starts
    try:
        assert run_alone("print(torch.equal(fast(x), fast(x)), torch.get_num_threads())").split() == ["True", "1"]
    finally:
        os.sched_setaffinity(0, cores)


def openmp_runtime() -> str | None:
    """The path of libgomp in this process."""
    try:
        with open("/proc/self/maps") as maps:
            return next((line.split()[-1] for line in maps if "libgomp" in line), None)
    except OSError:
        return None


def test_inside_a_parallel_region_of_the_callers(nets):
    if (path := openmp_runtime()) is None:
        pytest.skip("this torch does not use libgomp")
    x = torch.randn(1, 3, 64, 64)
    want, results = nets[0](x), []
    body = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: results.append(nets[0](x)))
    ctypes.CDLL(path).GOMP_parallel(body, None, 2, 0)
    assert len(results) == 2
    assert all(torch.equal(y, want) for y in results)


def test_buffers_are_one_set_for_each_caller_and_go_when_unused(nets, monkeypatch):
    monkeypatch.setattr(memory, "KEPT_CALLS", 6)
    x = torch.randn(1, 3, 32, 96)
    nets[0](x)
    pool = nets[0].program_for(x).run.__self__.pool
    assert len(pool.free) == 1
    held = [pool.take() for _ in range(3)]  # as three callers at once would
    assert len({id(buffers) for buffers in held}) == 3
    for buffers in held:
        pool.give(buffers)
    assert len(pool.free) == 3
    for _ in range(12):
        nets[0](x)
    assert pool.free == held[-1:]


def test_what_many_shapes_keep_is_bounded(monkeypatch):
    monkeypatch.setattr(memory, "KEPT_BYTES", 1 << 20)
    fast = optimize(fill(create_model("hrnet_w18_small.pose_coco_256x192")), executor="native")
    sizes = [96, 128, 160, 192]
    inputs = [torch.randn(1, 3, size, size) for size in sizes]
    want = [fast(x) for x in inputs]
    pools = [fast.program_for(x).run.__self__.pool for x in inputs]
    assert sum(pool.kept_bytes for pool in pools) <= 2 * pools[-1].bytes
    assert len(pools[0].free) == 0 and len(pools[-1].free) == 1
    for x, y in zip(inputs, want):
        assert torch.equal(fast(x), y)
    assert sum(pool.kept_bytes for pool in pools) <= 2 * pools[-1].bytes


def test_a_call_that_fails_leaves_the_module_as_it_was(nets, monkeypatch):
    x = torch.randn(1, 3, 64, 64)
    want = nets[0](x)
    with monkeypatch.context() as patch:
        patch.setattr(compiled, "results_of", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            nets[0](x)
    assert torch.equal(nets[0](x), want)


QUOTAS = {
    "none": ({"proc/self/cgroup": "0::/"}, 0),
    "unlimited": ({"proc/self/cgroup": "0::/a", "sys/fs/cgroup/a/cpu.max": "max 100000"}, 0),
    "of a container": ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "150000 100000"}, 2),
    "of a group above": (
        {
            "proc/self/cgroup": "0::/a/b",
            "sys/fs/cgroup/a/cpu.max": "400000 100000",
            "sys/fs/cgroup/a/b/cpu.max": "max 9",
        },
        4,
    ),
    "of version 1": (
        {
            "proc/self/cgroup": "5:memory:/x\n4:cpu,cpuacct:/a",
            "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "50000",
            "sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        },
        1,
    ),
    "damaged": ({"proc/self/cgroup": "0:/\n0::/a", "sys/fs/cgroup/a/cpu.max": "much"}, 0),
}


@pytest.mark.parametrize("case", QUOTAS)
def test_quotas_of_control_groups(tmp_path, case):
    files, cores = QUOTAS[case]
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert kernels.extension().module.cores_of_quota(str(tmp_path)) == cores


FORK_WHILE_DEALING = """
from hrnet_fast import kernels
program, side = kernels.extension().module.CpuProgram(), 8000
for index in (0, 1):
    program.add_map(0, index * side * side * 10, 1, side, side, 8)
program.add_level()
program.add_sum(1, 0, 8, [(0, "", False)], "none")
deal = lambda: program.run([(64 * 1000, 1 << 50)], 0, 0)  # deals out the items, and plays none
caller = threading.Thread(target=deal)
caller.start()
pid = os.fork()
if pid == 0:
    threading.Timer(60, lambda: os._exit(1)).start()
    deal()
    os._exit(0)
caller.join()
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


@linux
def test_a_fork_while_items_are_dealt_out():
    assert run_alone(FORK_WHILE_DEALING).split() == ["0"]


def test_results_are_the_callers_own(nets):
    x, other = torch.randn(2, 1, 3, 64, 64).unbind()
    first = nets[0](x)
    kept = first.clone()
    second = nets[0](other)
    assert torch.equal(first, kept)
    assert first.data_ptr() != second.data_ptr()
    assert not torch.equal(first, second)
    assert not first.is_inference()
    first.mul_(2)
    assert torch.equal(nets[0](x), kept)
