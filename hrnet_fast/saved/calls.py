"""What a saved network computes for one kind of call: traced, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import nn
from torch.utils import _pytree as pytree

from ..engine.nesting import describe, nested
from ..plan import trace
from ..plan.graph import Call, Convolution, Graph, Node, Norm, Resize
from .batches import PerImage, for_any_batch, for_batch
from .codec import NotSaved, decode, decode_nesting, encode, encode_nesting

_MANY = 67  # images: more than networks compute at once that compute large batches in parts
_NONE = type(None)
_DETAILS = {
    "input": _NONE, "conv": Convolution, "norm": Norm, "relu": _NONE, "add": _NONE, "resize": Resize, "concat": _NONE,
    "call": Call,
}  # fmt: skip


@dataclass(frozen=True)
class SavedCall:
    """What one kind of call computes.

    structure: how it nests its inputs, as `nesting.describe` says. images: the batch that it was saved with. graph: for
    this batch, or for any one, with PerImage for what grows with it. nesting: how its results nest, as
    `codec.encode_nesting` says. read: keys of tensors whose numbers, as they were then, are part of the graph.
    """

    structure: str
    images: int
    graph: Graph
    nesting: Any
    read: tuple[str, ...] = ()

    @property
    def any_batch(self) -> bool:
        return any(isinstance(side, PerImage) for shape in self._written for side in shape)

    @property
    def _written(self) -> list[tuple[Any, ...]]:
        """Shapes of the inputs, as they are in the graph."""
        return [self.graph.nodes[value].shape for value in self.graph.inputs]

    def shapes(self, images: int) -> list[tuple[Any, ...]]:
        """Of the inputs, for so many images."""
        return [for_batch(shape, images) for shape in self._written]

    def __str__(self) -> str:
        sides = (["N" if isinstance(side, PerImage) else str(side) for side in shape] for shape in self._written)
        return " and ".join(f"({', '.join(shape)})" for shape in sides)


def trace_call(plain: nn.Module, *inputs: Any) -> SavedCall:
    """What a module computes for inputs of these shapes: in a batch of any size, where it does the same for 1, 2, 3 and
    _MANY images.

    Raises PlanError as `trace` does, NotSaved for results that a file cannot nest.
    """
    structure, leaves = describe(inputs)

    def traced(images: int) -> Graph:
        given = nested(structure, [x.new_empty((images, *x.shape[1:])) for x in leaves])
        return replace(trace(plain, *given), output_tree=None, read=())

    graph, images = trace(plain, *inputs), leaves[0].shape[0] if leaves and leaves[0].dim() else 0
    tree = graph.output_tree
    nesting = encode_nesting(pytree.tree_unflatten(list(range(tree.num_leaves)), tree))
    read, graph = graph.read, replace(graph, output_tree=None, read=())
    try:
        general = for_any_batch(traced(2), traced(3))
        if for_batch(general, images) == graph and all(for_batch(general, n) == traced(n) for n in (1, _MANY)):
            graph = general
    except ValueError:  # it takes no other batch, or does something else for it
        pass
    return SavedCall(structure, images, graph, nesting, read)


def encode_call(call: SavedCall) -> dict[str, Any]:
    """As JSON."""
    return {"inputs": call.structure, "images": call.images, "results": call.nesting, "graph": encode(call.graph)}


def decode_call(call: Mapping[str, Any]) -> SavedCall:
    """From JSON. Raises NotSaved, or what Python raises, for what `encode_call` does not write."""
    graph = decode(call["graph"])
    if not isinstance(graph, Graph) or not all(isinstance(node, Node) for node in graph.nodes):
        raise NotSaved("a call without a graph")
    for place, node in enumerate(graph.nodes):
        if _DETAILS.get(node.op, ()) is not type(node.detail):
            raise NotSaved(f"operation {place}, which is not known")
        if any(type(value) is not int or not 0 <= value < place for value in node.inputs):
            raise NotSaved(f"operation {place} reads what comes after it")
    if not all(type(v) is int and 0 <= v < len(graph.nodes) for v in (*graph.inputs, *graph.outputs)):
        raise NotSaved("a result that nothing computes")
    decode_nesting(call["results"], dict.fromkeys(range(len(graph.outputs))))  # a list would take a place of -1
    return SavedCall(str(call["inputs"]), int(call["images"]), graph, call["results"])
