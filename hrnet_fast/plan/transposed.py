"""Transposed convolutions as ordinary ones.

One of stride s makes s x s pixels of each input pixel. An ordinary convolution computes them as channels beside each
other, which `functional.pixel_shuffle` then moves apart; its kernel covers what any of the s x s reads of the input,
and is zero where one of them does not. So HigherHRNet's deconvolution runs on the kernels of convolutions.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from torch import Tensor

from .graph import Call, Convolution, Graph, Node, Ref, Transposed

SHUFFLE = "functional.pixel_shuffle"

Pair = tuple[int, int]


def ordinary(
    weight: str, bias: str | None, kernel: Pair, stride: Pair, padding: Pair, output_padding: Pair, dilation: Pair,
    groups: int,
) -> Convolution | None:  # fmt: skip
    """The convolution that computes a transposed one, with stride^2 times its channels; None where there is none.

    The result must be exactly s times as large as the input, with the same s along both axes.
    """
    enlarges = all(k + o - 2 * p == s for k, s, p, o in zip(kernel, stride, padding, output_padding))
    if stride[0] != stride[1] or not enlarges or dilation != (1, 1) or groups != 1:
        return None
    high, wide = (max(abs(offset) for offset, _, _ in _taps(k, stride[0], p)) for k, p in zip(kernel, padding))
    return Convolution(
        weight, bias, (2 * high + 1, 2 * wide + 1), (1, 1), (high, wide), (1, 1), 1,
        transposed=Transposed(stride[0], padding),
    )  # fmt: skip


def _taps(kernel: int, stride: int, padding: int) -> list[tuple[int, int, int]]:
    """(offset, phase, tap): output pixel stride * y + phase adds input pixel y + offset times that tap."""
    places = [(divmod(phase + padding - tap, stride), phase, tap) for phase in range(stride) for tap in range(kernel)]
    return [(offset, phase, tap) for (offset, rest), phase, tap in places if rest == 0]


def ordinary_weight(weight: Tensor, conv: Convolution, was: Transposed) -> Tensor:
    """Weight [Cin, Cout, kh, kw] of the transposed convolution -> [Cout * s * s, Cin, KH, KW] of the ordinary one."""
    s, (pad_h, pad_w), (reach_h, reach_w) = was.stride, was.padding, conv.padding
    inputs, outputs, height, width = weight.shape
    made = weight.new_zeros(outputs, s, s, inputs, *conv.kernel)
    for row, a, i in _taps(height, s, pad_h):
        for column, b, j in _taps(width, s, pad_w):
            made[:, a, b, :, row + reach_h, column + reach_w] = weight[:, :, i, j].t()
    return made.flatten(0, 2)


def shuffled_last(graph: Graph) -> Graph:
    """The same graph, but a transposed convolution's batch norm and ReLU come before its shuffle, to be merged."""
    nodes = list(graph.nodes)
    uses = Counter([*(value for node in nodes for value in node.inputs), *graph.outputs])
    for value, node in enumerate(nodes):
        if node.op not in ("norm", "relu") or uses[node.inputs[0]] != 1:
            continue
        before = node.inputs[0]
        call = nodes[before].detail
        if not isinstance(call, Call) or call.function != SHUFFLE:
            continue
        source = nodes[before].inputs[0]
        if uses[source] != 1 or not _of_transposed(nodes, source, ("conv",) if node.op == "norm" else ("conv", "norm")):
            continue
        nodes[value] = Node("call", (before,), node.shape, replace(call, args=(Ref(before), *call.args[1:])))
        nodes[before] = Node(node.op, (source,), nodes[source].shape, node.detail)
    return replace(graph, nodes=tuple(nodes))


def _of_transposed(nodes: list[Node], value: int, ops: tuple[str, ...]) -> bool:
    """Whether a value is a transposed convolution's result, or that normalised."""
    if nodes[value].op not in ops:
        return False
    detail = nodes[value].detail
    if isinstance(detail, Convolution):
        return detail.transposed is not None
    return _of_transposed(nodes, nodes[value].inputs[0], ("conv",))
