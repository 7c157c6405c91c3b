"""The CUDA level kernel's launches on the emulator, and how exact their results must be."""

import torch

from hrnet_fast.engine.executors.reference import ReferenceExecutor
from hrnet_fast.engine.gpu.device_key import DeviceKey
from hrnet_fast.kernels.cuda_level import Level
from hrnet_fast.numerics import relative_l2
from tests.kernels.cuda_emulator import emulate

CPU, HALF = torch.device("cpu"), torch.float16
KEY = DeviceKey("A GPU", "9.0", 132, "2.15", "3.9", "0")


def launch(inputs, outputs, description, overlap):
    """The op `level`, on the emulator."""
    emulate([Level.from_buffer_copy(description.numpy())], outputs[0].dtype, inputs, outputs)


class Recorded:
    """In place of the op: keeps what is launched, for one play of all launches together."""

    def __init__(self):
        self.levels, self.overlaps, self.read, self.written = [], [], {}, {}

    def __call__(self, inputs, outputs, description, overlap):
        self.levels.append(Level.from_buffer_copy(description.numpy()))
        self.overlaps.append(overlap)
        self.read |= {tensor.data_ptr(): tensor for tensor in inputs}
        self.written |= {tensor.data_ptr(): tensor for tensor in outputs}

    def play(self, dtype, seed=0):
        inputs = [tensor for address, tensor in self.read.items() if address not in self.written]
        emulate(self.levels, dtype, inputs, list(self.written.values()), seed=seed)


def recorded(executor, plan, x):
    """The tape of a plan, loaded with x; its launches may overlap, and what nobody writes is NaN."""
    executor.lowering.overlap = True
    tape = executor.tape(plan)
    for value, view in tape.memory.views.items():
        if value not in plan.inputs:
            view.fill_(torch.nan)
    tape.load([x])
    return tape


def assert_as_exact_as_torch(plan, tensors, inputs, results, dtype):
    with torch.inference_mode():
        exact = ReferenceExecutor(tensors, torch.float64).run(plan, inputs)
        own = ReferenceExecutor(tensors, dtype).run(plan, inputs)
    assert len(results) == len(exact)
    for result, want, plain in zip(results, exact, own):
        assert result.shape == want.shape
        assert relative_l2(result, want) <= 2 * relative_l2(plain, want)
