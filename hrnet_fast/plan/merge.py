"""From the graph to items: batch norm into convolutions; sums, interpolation and ReLU into epilogues and prologues."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from .graph import Call, Convolution, Graph, Norm, Param, Ref, Resize
from .ir import PREVIOUS, Concat, Conv, Function, Item, Relu, Sum, Term
from .transposed import shuffled_last

# A pointwise convolution with few outputs reads each input once, so it can form its input while reading it.
PROLOGUE_OUTPUTS = 64

SUMMANDS = 8  # of one item, at most: what kernels take

VIEWS = {f"Tensor.{name}" for name in ("view", "flatten", "squeeze", "unsqueeze", "permute", "transpose")} | {
    f"torch.{name}" for name in ("flatten", "squeeze", "unsqueeze", "permute", "transpose")
}


@dataclass
class _Draft:
    """An item in the making; it can grow while nothing else reads its value."""

    kind: str  # conv, sum, resize, concat, call
    out: int
    source: int = -1
    resize: Resize | None = None
    calls: tuple[Call, ...] = ()
    reads: tuple[int, ...] = ()
    terms: list[Term] = field(default_factory=list)
    relu: Relu = "none"


@dataclass(kw_only=True)
class _ConvDraft(_Draft):
    conv: Convolution
    norm: Norm | None = None


def merge(graph: Graph) -> tuple[list[Item], dict[int, int], dict[int, tuple[int, ...]]]:
    """Items in the order of execution; the level of each value, the earliest possible; the shape of each value.

    Items of a level read only what earlier levels wrote; inputs are at level 0.
    """
    merger = _Merger(shuffled_last(graph))
    merger.draft()
    merger.split_pointwise_over_concat()
    return merger.finish()


class _Merger:
    def __init__(self, graph: Graph):
        self.graph = graph
        self.shapes = {value: node.shape for value, node in enumerate(graph.nodes)}
        self.uses = Counter(v for node in graph.nodes for v in node.inputs)
        self.uses.update(graph.outputs)
        self.drafts: dict[int, _Draft] = {}
        self.split_sums: set[int] = set()

    def _growing(self, value: int, *kinds: str) -> _Draft | None:
        """The draft behind a value that only one reader wants, so that it may become part of that reader."""
        draft = self.drafts.get(value)
        return draft if draft and draft.kind in kinds and self.uses[value] == 1 else None

    def draft(self) -> None:
        for value, node in enumerate(self.graph.nodes):
            if node.op != "input" and self.uses[value]:
                getattr(self, f"_{node.op}")(value, node.inputs, node.detail)

    def _become(self, draft: _Draft, value: int, **changes: Any) -> None:
        """The draft of an earlier value goes on as the draft of this one."""
        del self.drafts[draft.out]
        self.drafts[value] = replace(draft, out=value, **changes)

    def _conv(self, value: int, inputs: tuple[int, ...], conv: Convolution) -> None:
        self.drafts[value] = _ConvDraft("conv", value, source=inputs[0], conv=conv)

    def _norm(self, value: int, inputs: tuple[int, ...], norm: Norm) -> None:
        draft = self._growing(inputs[0], "conv")
        if isinstance(draft, _ConvDraft) and draft.norm is None and draft.relu == "none":
            self._become(draft, value, norm=norm)
        else:
            params = [None if key is None else Param(key) for key in (norm.mean, norm.var, norm.weight, norm.bias)]
            call = Call("functional.batch_norm", (Ref(inputs[0]), *params, False, 0.0, norm.eps))
            self.drafts[value] = _Draft("call", value, calls=(call,), reads=inputs)

    def _relu(self, value: int, inputs: tuple[int, ...], _: None) -> None:
        draft = self._growing(inputs[0], "conv", "sum")
        if draft and draft.relu == "none":
            self._become(draft, value, relu="last")
        else:
            self.drafts[value] = _Draft("sum", value, terms=[self._term(inputs[0])], relu="last")

    def _add(self, value: int, inputs: tuple[int, ...], _: None) -> None:
        terms: list[Term] = []
        for others, summand in zip((1, 0), inputs):
            inner = self._growing(summand, "sum")
            if inner and inner.relu == "none" and len(terms) + len(inner.terms) + others <= SUMMANDS:
                terms += inner.terms
                del self.drafts[summand]
            else:
                terms.append(self._term(summand))
        self.drafts[value] = _Draft("sum", value, terms=terms)

    def _term(self, value: int) -> Term:
        """A summand or part; a resize that nobody else reads happens while it is read."""
        draft = self._growing(value, "resize")
        if draft is None:
            return Term(value)
        del self.drafts[value]
        return Term(draft.source, draft.resize)

    def _resize(self, value: int, inputs: tuple[int, ...], resize: Resize) -> None:
        self.drafts[value] = _Draft("resize", value, source=inputs[0], resize=resize)

    def _concat(self, value: int, inputs: tuple[int, ...], _: None) -> None:
        self.drafts[value] = _Draft("concat", value, terms=[self._term(part) for part in inputs])

    def _call(self, value: int, inputs: tuple[int, ...], call: Call) -> None:
        before = self._growing(inputs[0], "call") if len(inputs) == 1 else None
        if before and call.function in VIEWS:
            args = tuple(Ref(PREVIOUS) if isinstance(arg, Ref) else arg for arg in call.args)
            self._become(before, value, calls=(*before.calls, replace(call, args=args)))
        else:
            self.drafts[value] = _Draft("call", value, calls=(call,), reads=inputs)

    def split_pointwise_over_concat(self) -> None:
        """conv1x1(concat(resize(x_j))) = sum of resize(conv1x1_j(x_j)), as interpolation and conv1x1 commute.

        So the head of HRNetV2 works on each map at its own size: an eighth of the multiplications, and the 15C-wide
        concatenation is not written unless something else reads it.
        """
        for value, draft in list(self.drafts.items()):
            concat = self.drafts.get(draft.source)
            if not isinstance(draft, _ConvDraft) or not draft.conv.pointwise:
                continue
            if concat is None or concat.kind != "concat" or not any(map(self._enlarges, concat.terms)):
                continue
            if len(concat.terms) > SUMMANDS:
                continue
            self._forget_reader(concat)
            begin, terms = 0, []
            for part in concat.terms:
                out = len(self.shapes)
                (n, channels, h, w) = self.shapes[part.value]
                self.shapes[out] = (n, self.shapes[value][1], h, w)
                conv = replace(draft.conv, channels=(begin, begin + channels))
                self.drafts[out] = _ConvDraft("conv", out, source=part.value, conv=conv, norm=draft.norm)
                self.uses[out] = 1
                self.uses[part.value] += 1
                terms.append(Term(out, part.resize))
                begin += channels
            self.drafts[value] = _Draft("sum", value, terms=terms, relu=draft.relu)
            self.split_sums.add(value)

    def _enlarges(self, part: Term) -> bool:
        height, width = self.shapes[part.value][-2:]
        return part.resize is not None and part.resize.size[0] * part.resize.size[1] > height * width

    def _forget_reader(self, concat: _Draft) -> None:
        self.uses[concat.out] -= 1
        if self.uses[concat.out] == 0:
            del self.drafts[concat.out]
            for part in concat.terms:
                self.uses[part.value] -= 1

    def finish(self) -> tuple[list[Item], dict[int, int], dict[int, tuple[int, ...]]]:
        """Let a sum be carried by a convolution among its terms or formed by the one that reads it; fix the levels."""
        level = dict.fromkeys(self.graph.inputs, 0)
        items: dict[int, Item] = {}
        readers = {draft.source: draft for draft in self.drafts.values() if draft.kind == "conv"}
        for draft in self._ordered():
            item = self._item(draft, items)
            if isinstance(item, Sum):
                carrier = self._carrier(item, items, level)
                if carrier and not (item.out in self.split_sums and self._forms_input(readers.get(item.out))):
                    del items[carrier.out]
                    terms = tuple(term for term in item.terms if term.value != carrier.out)
                    relu: Relu = "last" if item.relu else "first" if carrier.relu == "last" else "none"
                    item = replace(carrier, out=item.out, terms=terms, relu=relu)
            elif isinstance(item, Conv):
                source = items.get(draft.source)
                if isinstance(source, Sum) and self._forms_input(draft):
                    del items[source.out]
                    item = replace(item, sources=source.terms, source_relu=source.relu)
            items[item.out] = item
            level[item.out] = 1 + max(level[v] for v in item.reads)
        return list(items.values()), level, self.shapes

    def _ordered(self) -> list[_Draft]:
        """Drafts in the order of execution; the parts of a split convolution come right before their sum."""
        parts = {
            term.value: (value, index)
            for value in self.split_sums
            for index, term in enumerate(self.drafts[value].terms)
        }
        last = len(self.shapes)
        return sorted(self.drafts.values(), key=lambda draft: parts.get(draft.out, (draft.out, last)))

    def _forms_input(self, draft: _Draft | None) -> bool:
        """Whether a convolution can form its input, a sum that nobody else reads, while it reads it."""
        return (
            isinstance(draft, _ConvDraft)
            and draft.conv.pointwise
            and self.uses[draft.source] == 1
            and self.shapes[draft.out][1] <= PROLOGUE_OUTPUTS
        )

    def _carrier(self, total: Sum, items: dict[int, Item], level: dict[int, int]) -> Conv | None:
        """The latest convolution that can add the other terms in its epilogue: unread elsewhere, at the sum's size."""
        fits = []
        for term in total.terms:
            item = items.get(term.value)
            if not isinstance(item, Conv) or term.resize or self.uses[item.out] != 1 or item.terms:
                continue
            if item.relu == "none" or (item.relu == "last" and not total.relu):
                fits.append(item)
        return max(fits, key=lambda item: level[item.out], default=None)

    @staticmethod
    def _item(draft: _Draft, items: dict[int, Item]) -> Item:
        if isinstance(draft, _ConvDraft):
            name = draft.conv.weight.removesuffix(".weight")
            if draft.conv.channels is not None:
                name += "[{}:{}]".format(*draft.conv.channels)
            return Conv(name, draft.out, (Term(draft.source),), draft.conv, draft.norm, relu=draft.relu)
        if draft.kind == "call":
            return Function(draft.calls[0].function, draft.out, draft.calls, draft.reads)
        if draft.kind == "resize":
            return Sum("resize", draft.out, (Term(draft.source, draft.resize),))
        if draft.kind == "concat":
            return Concat("concat", draft.out, tuple(draft.terms))
        return Sum(_sum_name(draft.terms, items), draft.out, tuple(draft.terms), draft.relu == "last")


def _sum_name(terms: list[Term], items: dict[int, Item]) -> str:
    """The part of the network that the terms share, e.g. `stage3.0.fuse_layers.0`."""
    resized = [term for term in terms if term.resize] or terms
    names = [items[term.value].name.split(".") for term in resized if term.value in items]
    if len(names) == 1:
        names.append(names[0][:-2])
    shared = itertools.takewhile(lambda parts: len(set(parts)) == 1, zip(*names))
    return ".".join(parts[0] for parts in shared) or "sum"
