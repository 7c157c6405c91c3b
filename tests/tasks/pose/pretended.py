"""A device that is not there: its tensors keep their values on the CPU, and what passes to and fro is written down."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

CPU, DEVICE = torch.device("cpu"), torch.device("meta")
MIXES = {torch.ops.hrnet_fast.affine_crop.default}  # takes its matrices from the CPU, as its page says
TO_PYTHON = {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.equal.default}


class OnDevice(torch.Tensor):
    """A tensor that says it lies on DEVICE, where it has values, unlike others on the meta device."""

    is_meta = False

    @staticmethod
    def __new__(cls, held):
        return torch.Tensor._make_wrapper_subclass(
            cls, held.shape, held.stride(), held.storage_offset(), dtype=held.dtype, device=DEVICE
        )

    def __init__(self, held):
        self.held = held

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        raise AssertionError(f"{function} is called on the pretended device when it is not there")


class Device(TorchDispatchMode):
    """While it is entered, DEVICE is there. As on a GPU, an op that finds its tensors on both sides is an error.

    uploads, downloads: (shape, dtype) of each tensor that was copied to the device and from it.
    """

    def __init__(self):
        super().__init__()
        self.uploads, self.downloads = [], []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        tensors = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, torch.Tensor)]
        here = [x for x in tensors if isinstance(x, OnDevice)]
        there = [x for x in tensors if not isinstance(x, OnDevice) and x.dim() > 0]
        target = torch.device(kwargs["device"]) if kwargs.get("device") is not None else None
        if target is not None:
            kwargs["device"] = CPU
        on_device = target == DEVICE if target is not None else bool(here)
        if here and (function in TO_PYTHON or target == CPU):
            self.downloads.append((tuple(here[0].shape), here[0].dtype))
        elif there and target == DEVICE:
            self.uploads.append((tuple(there[0].shape), there[0].dtype))
        elif here and there and function not in MIXES:
            raise AssertionError(f"{function} is given tensors of two devices")
        held = tree_map(lambda x: x.held if isinstance(x, OnDevice) else x, (args, kwargs))
        result = function(*held[0], **held[1])
        wrap = lambda x: OnDevice(x) if on_device and isinstance(x, torch.Tensor) else x  # noqa: E731
        return tree_map(wrap, result)
