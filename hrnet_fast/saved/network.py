"""A network without code of its own: its tensors by key, and the traced graphs that it plays with torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..engine.nesting import describe, nested
from ..models import HRNetConfig
from ..plan import Call, Convolution, Norm, Param, PlanError, Ref, Resize, sample_of
from ..plan.graph import Node
from ..plan.tracing.constants import evaluate
from ..plan.tracing.failure import what
from ..plan.tracing.functions import DEFORM
from ..plan.transposed import SHUFFLE
from .batches import for_batch
from .calls import SavedCall
from .codec import decode_nesting

_MOST = 1 << 28  # numbers that a call may make of none, as a file asks: more would take all memory


class SavedNetwork(nn.Module):
    """A module with the keys and numbers of another one, of whose code it needs nothing.

    tensors: parameters and buffers by key, the graphs' among them; a key that is there twice under other names holds
    the same tensor. buffers: which of them are no parameters. hidden: which of these a state dict leaves out. calls:
    what it can compute. config: of our own models, else None.

    It computes what the saved module did in evaluation mode, in either mode, by the same torch functions one after
    another; gradients flow as they did. Raises ValueError for inputs of other sizes than it was saved for.
    """

    def __init__(
        self, tensors: Mapping[str, Tensor], calls: Sequence[SavedCall], buffers: Sequence[str] = (),
        hidden: Sequence[str] = (), config: HRNetConfig | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self._calls, self.config = tuple(calls), config
        all_buffers, all_hidden = frozenset(buffers), frozenset(hidden)
        parameters: dict[int, nn.Parameter] = {}  # one for each tensor, however many names that has
        for key, tensor in tensors.items():
            # not by `register_…`, which refuses names that modules have themselves, as `type` or `half`
            owner, name = self._owner(key)
            if key not in all_buffers:
                made = parameters.setdefault(id(tensor), nn.Parameter(tensor, tensor.is_floating_point()))
                owner._parameters[name] = made
                continue
            owner._buffers[name] = tensor
            if key in all_hidden:
                owner._non_persistent_buffers_set.add(name)
        if any(_calls_of(node, DEFORM) for call in calls for node in call.graph.nodes):
            import torchvision  # noqa: F401  which registers that operation

        self.eval()

    def forward(self, *inputs: Any) -> Any:
        """What the saved module returned in evaluation mode. inputs: as it took them, in any batch that it says."""
        call, leaves = self._call_for(*inputs)
        graph = for_batch(call.graph, leaves[0].shape[0]) if call.any_batch else call.graph
        last = {value: place for place, node in enumerate(graph.nodes) for value in node.inputs}
        last |= dict.fromkeys(graph.outputs, len(graph.nodes))
        values: dict[int, Tensor] = {}
        given = iter(leaves)
        for place, node in enumerate(graph.nodes):
            try:
                values[place] = next(given) if node.op == "input" else self._play(node, values, graph.nodes)
            except PlanError:
                raise
            except ValueError as error:  # by torch or Python, of a forged file: planning takes it for a network's own
                raise PlanError(f"operation {place} cannot be computed: {what(error)}") from error
            for value in node.inputs:
                if last[value] == place:
                    values.pop(value, None)
        return decode_nesting(call.nesting, [values[value] for value in graph.outputs])

    def saved_inputs(self) -> list[tuple[Any, ...]]:
        """What it was saved for: inputs without data, one tuple a size."""
        return [
            nested(call.structure, [torch.empty(shape, device="meta") for shape in call.shapes(call.images)])
            for call in self._calls
        ]

    @property
    def image_shape(self) -> tuple[int, int, int] | None:
        """Channels, height and width of the images that it was saved for first; None if it takes something else."""
        first = self._calls[0]
        shapes = first.shapes(first.images)
        return shapes[0][1:] if len(shapes) == 1 and len(shapes[0]) == 4 else None

    def _call_for(self, *inputs: Any) -> tuple[SavedCall, list[Tensor]]:
        structure, leaves = describe(inputs)
        given = [tuple(leaf.shape) for leaf in leaves]
        for call in self._calls:
            if call.structure == structure and given == call.shapes(given[0][0] if given and given[0] else 0):
                return call, leaves
        saved, got = ", or ".join(map(str, self._calls)), " and ".join(map(str, given)) or "nothing"
        raise ValueError(
            f"this network was saved for inputs of {saved}, but gets {got}: where its code is installed, save it with "
            "an example of this size too, hrnet_fast.save(model, path, example, another)"
        )

    def _play(self, node: Node, values: Mapping[int, Tensor], nodes: Sequence[Node]) -> Tensor:
        read, detail = [values[value] for value in node.inputs], node.detail
        if isinstance(detail, Call):
            if _calls_of(node, SHUFFLE) and _enlarges(nodes[node.inputs[0]].detail):
                return read[0]  # torch's transposed convolution has moved its pixels already
            return self._function(detail, values)
        if node.op == "concat":
            return torch.cat(read, dim=1)
        if node.op == "add":
            return torch.add(*read)
        (x,) = read
        if isinstance(detail, Convolution):
            return self._conv(detail, x)
        if isinstance(detail, Norm):
            mean, var, weight, bias = map(self._tensor_or_none, (detail.mean, detail.var, detail.weight, detail.bias))
            return F.batch_norm(x, mean, var, weight, bias, eps=detail.eps)
        if isinstance(detail, Resize):
            return F.interpolate(x, size=detail.size, mode=detail.mode, align_corners=detail.corners)
        return F.relu(x)

    def _conv(self, conv: Convolution, x: Tensor) -> Tensor:
        weight, bias = self._tensor(conv.weight), self._tensor_or_none(conv.bias)
        if conv.transposed is None:
            return F.conv2d(x, weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups)
        stride, padding = conv.transposed.stride, conv.transposed.padding
        more = tuple(stride - kernel + 2 * p for kernel, p in zip(weight.shape[2:], padding))
        return F.conv_transpose2d(x, weight, bias, stride, padding, more)

    def _function(self, call: Call, values: Mapping[int, Tensor]) -> Tensor:
        def of(leaf: Param | Ref) -> Tensor:
            return values[leaf.value] if isinstance(leaf, Ref) else self._tensor(leaf.name)

        sample = sample_of(self)
        return evaluate(call, of, sample.dtype, sample.device, _MOST)

    def _tensor_or_none(self, key: str | None) -> Tensor | None:
        return None if key is None else self._tensor(key)

    def _tensor(self, key: str) -> Tensor:
        owner, name = self._owner(key)
        held = owner._parameters.get(name, owner._buffers.get(name))
        return getattr(owner, name) if held is None else held  # pruned, or parametrized, since it was loaded

    def _owner(self, key: str) -> tuple[nn.Module, str]:
        """The module that holds a key's tensor, made where it is not there yet, and the tensor's name in it."""
        *path, name = key.split(".")
        owner: nn.Module = self
        for part in path:
            inner = owner._modules.get(part)
            if inner is None:
                inner = owner._modules[part] = nn.Module()
            owner = inner
        return owner, name

    def __repr__(self) -> str:
        numbers = sum(p.numel() for p in self.parameters())
        return f"SavedNetwork({numbers / 1e6:.1f} M parameters, for {', or '.join(map(str, self._calls))})"


def _calls_of(node: Node, function: str) -> bool:
    return isinstance(node.detail, Call) and node.detail.function == function


def _enlarges(detail: object) -> bool:
    return isinstance(detail, Convolution) and detail.transposed is not None and detail.transposed.stride > 1
