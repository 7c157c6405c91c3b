"""A tape of GPU work, recorded once as a CUDA graph and replayed for every call."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Protocol

import torch
from torch import Tensor

from ...plan import Plan
from ..locks import Lock
from ..results import own_copies

NEVER_RUN = (
    "this input shape was never run before the present CUDA graph capture: call the module once with it outside the "
    "capture"
)
BRANCHES = 4  # of an HRNet
_capturing: dict[int, Lock] = {}  # by device
_streams: dict[int, tuple[torch.cuda.Stream, ...]] = {}  # by device: the one that is captured, and those for branches
_of_callers: dict[int, Tape] = {}  # those in callers' graphs, whose end nobody tells


class Tape(Protocol):
    """What is captured: work on memory of its own, the same at every run."""

    plan: Plan
    device: torch.device

    def load(self, inputs: Sequence[Tensor]) -> None:
        """Copies the caller's inputs to where `play` reads them."""

    def play(self) -> None:
        """All the work, on the current stream."""

    def results(self) -> list[Tensor]:
        """Where the work left its results, in their logical shapes."""


class CaptureError(RuntimeError):
    """A CUDA graph could not be captured; the message says why."""


class GraphedTape:
    """Runs a tape for one caller at a time, on its stream; each gets fresh tensors, which no later call writes.

    The tape is captured at the first run. Where the caller is capturing a graph of its own, the tape is played instead
    of replayed, and so becomes part of that graph, on the same memory: the two must not run at the same time. That
    memory is then kept as long as the process lives. On the CPU (Triton's interpreter) it is always played.
    """

    def __init__(self, tape: Tape):
        self.tape = tape
        self.graph: torch.cuda.CUDAGraph | None = None
        self._of_graph: list[Tensor] = []  # where its replays leave the results
        self._lock = threading.Lock()
        self._done: torch.cuda.Event | None = None

    def __del__(self) -> None:
        """Torch's allocator gives the maps' memory to whoever asks next, and does not know the streams that use it."""
        with suppress(RuntimeError):  # where the process ends, and its GPU's context with it
            if self._done is not None and not torch.cuda.is_current_stream_capturing():  # a wait would end the capture
                self._done.synchronize()

    def run(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Results in the plan's order, each a tensor of the caller's own (`empty_result`)."""
        if self.tape.device.type != "cuda":
            with self._lock:
                return own_copies(self.tape.plan, play_once(self.tape, inputs), inputs[0])
        with self._lock, on_device(self.tape.device):
            if torch.cuda.is_current_stream_capturing():
                if self.graph is None:
                    raise CaptureError(NEVER_RUN)
                _of_callers[id(self.tape)] = self.tape
                return own_copies(self.tape.plan, play_once(self.tape, inputs), inputs[0])
            stream = torch.cuda.current_stream()
            if self._done is not None:
                stream.wait_event(self._done)  # the last caller's work, on whatever stream that was
            self.tape.load(inputs)
            if self.graph is None:
                self.graph = capture(self.tape.play)
                self._of_graph = self.tape.results()
                self.tape.load(inputs)  # again: another stream may have made the maps, and filled them only now
            self.graph.replay()
            results = own_copies(self.tape.plan, self._of_graph, inputs[0])
            self._done = self._done or torch.cuda.Event()
            self._done.record(stream)
            return results


def play_once(tape: Tape, inputs: Sequence[Tensor]) -> list[Tensor]:
    """The tape's results for these inputs, without a graph, where it leaves them."""
    with on_device(tape.device):
        tape.load(inputs)
        tape.play()
        return tape.results()


def on_device(device: torch.device) -> AbstractContextManager[object]:
    """Makes a GPU the current one, of which launches, streams and events are."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def refuse_capture(device: torch.device) -> None:
    """Raises CaptureError where the caller is capturing a graph: what is made now, as packed weights, would be written
    only by its replays."""
    if device.type == "cuda":
        with on_device(device):
            if torch.cuda.is_current_stream_capturing():
                raise CaptureError(NEVER_RUN)


def capture(work: Callable[[], None]) -> torch.cuda.CUDAGraph:
    """A graph of `work`, which runs once before: it may compile kernels and make handles, which a capture must not.

    One thread at a time on each device: a capture begins by waiting for the whole device, which breaks another's.
    Raises CaptureError where the GPU's memory does not suffice.
    """
    device = torch.cuda.current_device()
    with _capturing.setdefault(device, Lock()):
        torch.cuda.synchronize()  # also for the streams on which others made the maps, the weights and the counters
        (side, *_), graph = _own_streams(device), torch.cuda.CUDAGraph()
        try:
            with torch.cuda.stream(side):
                work()
            torch.cuda.current_stream().wait_stream(side)
            captured = torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local")
            with _own_workspaces(), torch.cuda.stream(side), captured:  # a graph that fails leaves `side` current
                work()
        except torch.cuda.OutOfMemoryError as error:
            raise CaptureError(f"the GPU's memory does not suffice for this input shape ({error})") from error
        return graph


@contextmanager
def _own_workspaces() -> Iterator[None]:
    """A capture's cuBLAS takes its workspace from the graph's memory. Torch keeps one for each thread and stream: all
    graphs of a thread, which may be replayed at once, would write to it, also when torch.compile has let go of it."""
    torch._C._cuda_clearCublasWorkspaces()
    try:
        yield
    finally:
        torch._C._cuda_clearCublasWorkspaces()


def _own_streams(device: int) -> tuple[torch.cuda.Stream, ...]:
    """Those that `capture` works on, made once: torch deals out 32 streams in turn, so a new one may be the current one
    of another thread, which would be captured with it. Few callers ask for streams of a high priority."""
    if device not in _streams:
        _streams[device] = tuple(torch.cuda.Stream(priority=-1) for _ in range(1 + BRANCHES))
    return _streams[device]


def branch_streams() -> tuple[torch.cuda.Stream, ...]:
    """Inside of `capture`, streams that part from the current one and meet there again. None elsewhere: they are for
    one thread at a time, and a caller's capture would keep them until it ends."""
    side, *branches = _streams.get(torch.cuda.current_device(), (None,))
    return tuple(branches) if torch.cuda.current_stream() == side else ()
