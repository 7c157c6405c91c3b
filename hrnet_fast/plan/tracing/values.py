"""Which values the tensors of a network stand for while it is traced, and what it writes in place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import PlanError
from ..graph import Call, Node, Ref
from .arguments import overlaps
from .constants import DTYPE, Constants, Made
from .functions import CAST, WRITTEN
from .modules import named_tensors

REMOVE = "remove the parametrization (torch.nn.utils.parametrize.remove_parametrizations), pruning or weight norm first"
_STALE = (
    "shares memory with a tensor that was written in place, which a plan cannot express: write into a clone() of it"
)


@dataclass(eq=False)
class Traced:
    """A tensor without data, the value that it stands for, and all that may share memory with it, if there are others.

    unreadable: why it stands for no value any more. part_of: of which tensor it is which part, by slices and numbers.
    version: how often it was really written to before it stood for a value. repeats: whether elements may share memory.
    """

    tensor: Tensor  # kept, as its id is a name only while it lives
    value: int
    memory: list[Traced] = field(default_factory=list)
    unreadable: str = ""
    part_of: tuple[Traced, Any] | None = None
    version: int = 0
    repeats: bool = False


class Values:
    """The nodes so far, and the tensors without data that stand for their values.

    A value never changes: writing in place makes a new one, for which the written tensor stands from then on. Others
    that may share its memory then stand for nothing. No tensor is really written to.
    """

    def __init__(self, module: nn.Module, dtype: torch.dtype, made: dict[int, Made]):
        super().__init__()
        self.dtype = dtype
        self.nodes: list[Node] = []
        self.read: set[str] = set()  # keys of tensors whose numbers were asked for
        self._made_of: dict[int, tuple[Tensor, set[str]]] = {}  # keys of those that a tensor is made of, by its id
        self._named = named_tensors(module)
        self.names = {id(t): name for name, t in self._named.items()}
        self.device = next((t.device for t in self._named.values()), torch.device("cpu"))
        self._versions = {name: _version(t) for name, t in self._named.items()}
        self.traced: dict[int, Traced] = {}
        self.constants = Constants(self.names, dtype, self.device, made)

    def add_input(self, shape: tuple[int, ...]) -> Tensor:
        return self.record("input", (), self.empty(shape))

    def empty(self, shape: Sequence[int], dtype: torch.dtype | None = None) -> Tensor:
        """A tensor without data, of the maps' dtype or another one."""
        return torch.empty(shape, dtype=dtype or self.dtype, device="meta")

    def stand_in(self, leaf: Any) -> Any:
        """For a traced tensor, one without elements that lies where the network's own do; anything else as it is."""
        return torch.empty([0] * leaf.dim(), dtype=leaf.dtype, device=self.device) if id(leaf) in self.traced else leaf

    def value_of(self, tensor: Any, what: str) -> int:
        if not isinstance(tensor, Tensor):
            raise PlanError(f"{what} is a {type(tensor).__name__}, which a plan cannot express")
        if id(tensor) in self.names:
            raise PlanError(
                f"{what} is the parameter or buffer {self.names[id(tensor)]!r}, which a plan cannot express"
            )
        if id(tensor) not in self.traced:
            raise PlanError(
                f"{what} is a tensor made outside the network, in an earlier call of it (as functools.cache keeps), or "
                "by operations that the planner does not see, which a plan cannot express: make it a parameter or "
                f"buffer; where it is a weight, {REMOVE}"
            )
        traced = self.traced[id(tensor)]
        if traced.unreadable:
            raise PlanError(f"{what} {traced.unreadable}")
        return traced.value

    def check_writes(self) -> None:
        """Raise PlanError if anything was written to that the tracer did not see."""
        if any(_version(traced.tensor) != traced.version for traced in self.traced.values()):
            raise PlanError(
                "something writes into a tensor in place that the planner does not see, such as TorchScript or an "
                "extension: replace it by plain torch functions"
            )
        for name, tensor in self._named.items():
            if _version(tensor) != self._versions[name]:
                raise PlanError(writes_into(name))

    def has_own_dtype(self, x: Any) -> bool:
        """Whether a tensor stands for labels, masks or numbers that are made of these alone."""
        return id(x) in self.traced and self.nodes[self.traced[id(x)].value].dtype is not None

    def record(
        self, op: str, inputs: tuple[int, ...], result: Tensor, detail=None, dtype: torch.dtype | None = None
    ) -> Tensor:
        self.stand(result, len(self.nodes))
        self.nodes.append(Node(op, inputs, tuple(result.shape), detail, dtype))
        return result

    def as_map(self, x: Tensor) -> Tensor:
        """A value of floating point in the maps' dtype."""
        if not self.has_own_dtype(x):
            return x
        value = self.value_of(x, "what is cast")
        return self.record("call", (value,), self.empty(x.shape), Call(CAST, (Ref(value), DTYPE)))

    def stand(self, tensor: Tensor, value: int) -> Tensor:
        """Let a new tensor stand for a value, in memory of its own."""
        self.traced[id(tensor)] = Traced(tensor, value, version=_version(tensor))
        return tensor

    def share(self, result: Tensor, *sources: Any) -> Tensor:
        """A new tensor may share memory with some of these."""
        one = self.traced[id(result)]
        one.repeats = overlaps(result)
        for other in (self.traced[id(source)] for source in sources if id(source) in self.traced):
            one.repeats |= other.repeats
            if not one.memory or one.memory is not other.memory:
                together = [*(one.memory or [one]), *(other.memory or [other])]
                for traced in together:
                    traced.memory = together
        return result

    def overwrite(self, target: Tensor, result: Tensor) -> Tensor:
        """After an in-place operation the tensor itself stands for the new value."""
        value = self.traced[id(result)].value
        if target.dtype != result.dtype and not (target.is_floating_point() and result.is_floating_point()):
            raise PlanError(
                f"a tensor of {target.dtype} is to hold a result of {result.dtype}, which a plan cannot express: "
                "compute a new one instead"
            )
        if target in self.constants and target.shape == result.shape:
            if name := self.owner(target):
                raise PlanError(writes_into(name))
            self.constants.forget(target)
            self.traced[id(target)] = Traced(target, value, version=_version(target))
            return target
        self.value_of(target, "what is written in place")
        if target.shape != result.shape:
            raise PlanError(f"a tensor of shape {tuple(target.shape)} cannot hold a result of {tuple(result.shape)}")
        written = self.traced[id(target)]
        if written.part_of is not None:
            self.check_parts(written.part_of[0].tensor)
        for other in written.memory:
            other.unreadable = "" if other is written else _STALE
        written.value, written.memory = value, []
        if written.part_of is not None:
            self._write_part(*written.part_of, written)
        return target

    def check_parts(self, x: Tensor) -> None:
        """Raise PlanError where a part of a tensor is to be written and others may change with it."""
        if self.traced[id(x)].repeats if id(x) in self.traced else overlaps(x):
            raise PlanError(
                "a part is written of a tensor whose elements share memory, as expand() and unfold() leave them, which "
                "a plan cannot express: write into a clone() of it"
            )

    def owner(self, x: Tensor) -> str | None:
        """The parameter or buffer that a tensor is, or whose memory it shares; or None."""
        if id(x) in self.names or x.layout is not torch.strided:
            return self.names.get(id(x))
        memory = x.untyped_storage()._cdata
        dense = ((name, t) for name, t in self._named.items() if t.layout is torch.strided)
        return next((name for name, t in dense if t.untyped_storage()._cdata == memory), None)

    def _write_part(self, whole: Traced, index: Any, part: Traced) -> None:
        """What a part was taken from stands for the value with that part written."""
        result = self.empty(whole.tensor.shape, whole.tensor.dtype)
        own = self.has_own_dtype(whole.tensor) and self.has_own_dtype(part.tensor)
        call = Call(WRITTEN, (Ref(whole.value), index, Ref(part.value)))
        self.record("call", (whole.value, part.value), result, call, result.dtype if own else None)
        whole.value, whole.unreadable, whole.memory = self.traced[id(result)].value, "", [whole, part]
        part.memory = whole.memory


def writes_into(name: str) -> str:
    trained = name.endswith("num_batches_tracked")  # by a norm in an object that a twin has not for itself
    how = ": call its eval() first" if trained else ""
    return f"the network writes into its own {name!r} when it is called, which a plan cannot express{how}"


def _version(tensor: Tensor) -> int:
    """How often a tensor was written in place; tensors of inference mode do not count it."""
    return 0 if tensor.is_inference() else tensor._version
