"""Functions with several results, each of which is a call of its own in a plan."""

from __future__ import annotations

from itertools import accumulate

import torch
from torch import Tensor

from ..errors import PlanError
from .calls import Calls


class Several(Calls):
    """What such functions return."""

    def chunk(self, input, chunks, dim=0) -> tuple[Tensor, ...]:
        return self.split(input, -(-input.shape[dim] // chunks), dim)

    def split(self, tensor, split_size_or_sections=None, dim=0, split_size=None) -> tuple[Tensor, ...]:
        sizes, side = split_size_or_sections or split_size, tensor.shape[dim]
        if isinstance(sizes, int):
            sizes = [min(sizes, side - begin) for begin in range(0, side, sizes)]
        if sum(sizes) != side:
            raise PlanError(f"split gets sizes {list(sizes)}, which do not make up {side}")
        begins = accumulate(sizes, initial=0)
        return tuple(self.call("torch.narrow", (tensor, dim, begin, size), {}) for begin, size in zip(begins, sizes))

    def unbind(self, x, dim=0) -> tuple[Tensor, ...]:
        axis = range(x.dim())[dim]
        return tuple(self.call("Tensor.__getitem__", (x, (*[slice(None)] * axis, i)), {}) for i in range(x.shape[axis]))

    def extreme(self, name: str, input, dim=None, keepdim=False, *, other=None) -> Tensor | tuple[Tensor, ...]:
        """max and min: of all numbers, of two tensors, or over one dimension, where the second result is where."""
        other = dim if isinstance(dim, Tensor) else other
        if other is not None:
            return self.call(f"torch.{name}imum", (input, other), {})
        if dim is None:
            return self.call(f"torch.a{name}", (input,), {})
        values = self.call(f"torch.a{name}", (input, dim, keepdim), {})
        places = self.call(f"places of {name}", (input, dim, keepdim), {})
        return getattr(torch.return_types, name)((values, places))

    def ordered(self, name: str, input, *args, **kwargs) -> tuple[Tensor, ...]:
        """topk and sort: the numbers, which are read at the places where they were, and these places."""
        places = self.call(f"places of {name}", (input, *args), kwargs)
        axis = dict(zip(("k", "dim") if name == "topk" else ("dim",), args)) | kwargs
        values = self.call("torch.gather", (input, axis.get("dim", -1), places), {})
        return getattr(torch.return_types, name)((values, places))

    def pair(self, name: str, *args, **kwargs) -> Tensor | tuple[Tensor, Tensor]:
        """What else has two results, and the median of all numbers, which is one."""
        if name == "torch.median" and len(args) + len(kwargs) == 1:
            return self.call(name, args, kwargs)
        results = self.call(f"{name}[0]", args, kwargs), self.call(f"{name}[1]", args, kwargs)
        kind = getattr(torch.return_types, name.removeprefix("torch."), None)
        return results if kind is None else kind(results)
