"""The modules that planning reads: which one a wrapper stands for, in evaluation mode, and its tensors by key."""

from __future__ import annotations

import copy

from torch import Tensor, nn


def unwrap(module: nn.Module) -> nn.Module:
    """The module inside DataParallel, DistributedDataParallel or torch.compile."""
    if isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        return unwrap(module.module)
    return unwrap(module._orig_mod) if hasattr(module, "_orig_mod") else module


def inference_view(module: nn.Module) -> nn.Module:
    """The module itself if it is in evaluation mode, else a twin in evaluation mode that shares every tensor."""
    if not any(m.training for m in module.modules()):
        return module
    twins: dict[int, nn.Module] = {}

    def twin(m: nn.Module) -> nn.Module:
        if id(m) not in twins:
            twins[id(m)] = new = copy.copy(m)
            children = {name: None if child is None else twin(child) for name, child in m._modules.items()}
            new.__dict__.update(_modules=children, training=False)
        return twins[id(m)]

    return twin(module)


def named_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by key."""
    module = unwrap(module)
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}
