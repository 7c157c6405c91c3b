"""Captures, tapes and clocks on a GPU that the tests pretend: torch.cuda's functions write down who called them."""

import threading
import time
import weakref
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from hrnet_fast import optimize
from hrnet_fast.engine.executors.cudnn import CudnnExecutor
from hrnet_fast.engine.gpu import tape as tape_module
from hrnet_fast.engine.gpu.tape import BRANCHES, CaptureError, GraphedTape, branch_streams, capture, play_once
from hrnet_fast.engine.gpu.timing import COPIES, within_a_graph
from hrnet_fast.plan import inference_view, make_plan, named_tensors
from tests.threads import at_once


@pytest.fixture
def calls(monkeypatch):
    """What is asked of the GPU, in order."""
    made = []

    class Event:
        def __init__(self, enable_timing=False):
            pass

        def record(self, stream=None):
            made.append("record")

        def synchronize(self):
            made.append("synchronize")

        def elapsed_time(self, other):
            return 0.04

    monkeypatch.setattr(tape_module, "_streams", {})
    stream = SimpleNamespace(
        wait_stream=lambda other: None, synchronize=lambda: made.append("wait"), wait_event=lambda event: None
    )
    for name, stand_in in {
        "Event": Event, "CUDAGraph": lambda: SimpleNamespace(replay=lambda: made.append("replay")),
        "Stream": lambda priority: stream, "current_stream": lambda: stream, "stream": lambda each: nullcontext(),
        "graph": lambda *arguments, **options: nullcontext(), "_sleep": lambda ticks: made.append("sleep"),
        "current_device": lambda: 0, "is_current_stream_capturing": lambda: False,
        "synchronize": lambda: made.append("wait for all"), "device": nullcontext,
    }.items():  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, stand_in)
    monkeypatch.setattr(torch._C, "_cuda_clearCublasWorkspaces", lambda: None, raising=False)
    return made


def test_a_step_is_timed_once_the_host_has_launched_all_of_its_graph(calls):
    """Else the time holds what the host takes to launch, which is as long as a step."""
    assert within_a_graph(lambda: None, repeats=3) == pytest.approx(40 / COPIES)
    timed = calls[calls.index("wait") + 1 :]
    assert timed == ["sleep", "record", "replay", "record", "synchronize"] * 3


def test_a_capture_that_fails_leaves_the_caller_his_stream(calls, monkeypatch):
    """torch's graph does not, where the GPU says at its end that the capture was invalid."""
    current = ["the caller's"]

    @contextmanager
    def stream(which):
        before = current[0]
        current[0] = "aside"
        try:
            yield
        finally:
            current[0] = before

    class Graph:
        def __init__(self, graph, **options):
            pass

        def __enter__(self):
            current[0] = "aside"

        def __exit__(self, *error):
            raise RuntimeError("operation failed due to a previous error during capture")

    monkeypatch.setattr(torch.cuda, "stream", stream)
    monkeypatch.setattr(torch.cuda, "graph", Graph)
    with pytest.raises(RuntimeError, match="previous error"):
        capture(lambda: None)
    assert current == ["the caller's"]


@pytest.mark.parametrize("fails", [False, True])
def test_a_graph_shares_no_workspace_of_cublas(calls, monkeypatch, fails):
    """Neither what was left before, also by the run outside of the capture, nor what it leaves to the next one."""
    monkeypatch.setattr(torch._C, "_cuda_clearCublasWorkspaces", lambda: calls.append("clear"))

    @contextmanager
    def graph(made, **options):
        calls.append("begin")
        try:
            yield
        finally:
            calls.append("end")

    def work():
        calls.append("work")
        if fails and "begin" in calls:
            raise torch.cuda.OutOfMemoryError("too little")

    monkeypatch.setattr(torch.cuda, "graph", graph)
    with pytest.raises(CaptureError) if fails else nullcontext():
        capture(work)
    assert calls == ["wait for all", "work", "clear", "begin", "work", "end", "clear"]


def test_a_capture_waits_for_another_thread_s_on_the_same_device(calls, monkeypatch):
    device, inside, most = threading.local(), {0: 0, 1: 0}, {0: 0, 1: 0}
    monkeypatch.setattr(torch.cuda, "current_device", lambda: device.index)
    together = threading.Barrier(2, timeout=30)

    @contextmanager
    def entered():
        inside[device.index] += 1
        most[device.index] = max(most[device.index], inside[device.index])
        yield
        inside[device.index] -= 1

    def work():
        with entered():
            time.sleep(0.02)

    def run(index):
        device.index = index
        for _ in range(3):
            capture(work)

    for pair in [(0, 0), (1, 1)]:
        at_once(run, pair)
    assert most == {0: 1, 1: 1}

    def meet():
        together.wait()  # fails unless both devices capture at once
        together.wait()

    def run_beside(index):
        device.index = index
        capture(meet)

    at_once(run_beside, (0, 1))
    assert not together.broken


class Stream:
    """One of torch's, pretended."""

    def __init__(self, priority=0):
        self.device, self.priority = torch.cuda.current_device(), priority

    def wait_stream(self, other):
        pass


@pytest.fixture
def streams(calls, monkeypatch):
    """The current device and the current stream, which captures change."""
    now = SimpleNamespace(device=0)

    @contextmanager
    def stream(which):
        before, now.stream = now.stream, which
        yield
        now.stream = before

    for name, stand_in in {
        "current_device": lambda: now.device, "Stream": Stream, "stream": stream, "current_stream": lambda: now.stream,
    }.items():  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, stand_in)
    now.stream = Stream()
    return now


def test_captures_have_streams_of_their_own(streams):
    """Made once a device: torch deals out 32 in turn, and another thread may be working on the next one."""
    seen = {0: set(), 1: set()}
    for device in (0, 1, 0, 1):
        streams.device = device
        capture(lambda device=device: seen[device].add((streams.stream, *branch_streams())))
        assert branch_streams() == ()  # nor in a capture of the caller's
    for device, own in seen.items():
        (own,) = own  # when it is played first, and when it is captured
        assert len(set(own)) == 1 + BRANCHES
        assert {(each.device, each.priority) for each in own} == {(device, -1)}


def test_cudnn_plays_a_level_s_branches_on_them(streams):
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.other = nn.Conv2d(3, 8, 3), nn.Conv2d(3, 8, 1)

        def forward(self, x):
            return self.one(x), self.other(x)

    class Seeing:
        def plain(self, x, weight, bias, geometry):
            seen.append(streams.stream)
            return nn.functional.conv2d(x, weight, bias, *geometry)

    net, x, seen = Branches().eval(), torch.randn(1, 3, 8, 8), []
    executor = CudnnExecutor(named_tensors(net), torch.float32, torch.device("cpu"), convolutions=Seeing())
    tape = executor.tape(make_plan(inference_view(net), x))
    tape.device = torch.device("cuda", 0)
    tape.load([x])
    capture(tape.play)
    first, second, *again = seen
    assert first != second and first.priority == second.priority == -1 and again == [first, second]
    seen.clear()
    tape.play()
    assert seen == [streams.stream] * 2


def pretended_tape(calls):
    plan = SimpleNamespace(outputs=(), values=())
    tape = SimpleNamespace(plan=plan, device=torch.device("cuda", 1), results=list)
    tape.load, tape.play = lambda inputs: calls.append("load"), lambda: calls.append("play")
    return tape


def test_the_first_replay_reads_inputs_that_were_loaded_after_the_capture(calls):
    """A capture waits for the whole GPU, also for the stream that the maps were made on: zeros may come as late."""
    graphed = GraphedTape(pretended_tape(calls))
    for _ in range(2):
        graphed.run([torch.empty(0)])
    first, second = calls[: calls.index("replay") + 1], calls[calls.index("replay") + 1 :]
    # what another stream has still to write is waited for; then it is played once by itself, and captured
    assert first == ["load", "wait for all", "play", "play", "load", "replay"]
    assert second == ["record", "load", "replay", "record"]


@pytest.mark.parametrize("capturing", [False, True])
def test_a_tape_that_is_dropped_waits_for_its_last_work(calls, monkeypatch, capturing):
    """Its maps' memory is free for anyone only then. Inside a capture nothing may wait."""
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: capturing)

    class Tape:
        device = torch.device("cpu")

    graphed = GraphedTape(Tape())
    there = weakref.ref(graphed.tape)
    graphed._done = SimpleNamespace(synchronize=lambda: calls.append(there() is not None))
    del graphed
    assert calls == ([] if capturing else [True])
    assert there() is None


def test_a_tape_is_played_on_its_own_gpu(calls, monkeypatch):
    """Also item by item, where no graph is."""

    @contextmanager
    def device(which):
        calls.append(str(which))
        yield
        calls.append("back")

    monkeypatch.setattr(torch.cuda, "device", device)
    play_once(pretended_tape(calls), [])
    assert calls == ["cuda:1", "load", "play", "back"]


def test_what_a_caller_s_graph_replays_on_is_kept(calls, monkeypatch):
    """Also where the tape is forgotten for others, or the weights are refreshed."""
    monkeypatch.setattr(tape_module, "_of_callers", {})
    tape = pretended_tape(calls)
    tape.maps = torch.empty(0)
    graphed, there = GraphedTape(tape), weakref.ref(tape.maps)
    graphed.run([torch.empty(0)])
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    graphed.run([torch.empty(0)])
    del graphed, tape
    assert there() is not None


def test_nothing_is_prepared_inside_a_capture(calls, monkeypatch):
    """Weights packed there would be written by the caller's replays alone, and used by every later call."""
    fast = optimize(nn.Conv2d(3, 8, 3), executor="reference")
    known = list(fast._prepared.programs)
    monkeypatch.setattr(fast._prepared, "device", torch.device("cuda", 0))
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    with pytest.raises(CaptureError, match="was never run before the present CUDA graph capture: call the module once"):
        fast.plan_for(torch.empty(1, 3, 8, 8))
    assert list(fast._prepared.programs) == known
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    assert fast.plan_for(torch.empty(1, 3, 8, 8)).levels
