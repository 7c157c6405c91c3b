"""Whether a module's tensors were written or replaced since its weights were packed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor, nn

from hrnet_fast import kernels

from ..plan import held_tensors
from ..plan.tracing.held import Held
from .optimizer_steps import watch


class Versions:
    """Remembers the tensors and submodules of a module, and what tells of writes to them: torch's version counters, and
    where their data lies.

    Batch normalization writes its running statistics without counting; it counts batches in a buffer of integers.
    Steps of optimizers are counted by `steps`.
    Tensors of inference mode have no counters.
    Plain attributes are followed once a plan reads them: others are what a forward keeps, and changes.
    """

    def __init__(self, module: nn.Module):
        self.tables = [table for part in module.modules() for table in _tables(part)]
        self.held = held_tensors(module)
        self.read: dict[str, tuple[Held, int, int]] = {}
        self.seen = list(self._now())
        native = kernels.extension().module
        self.native = None if native is None else native.Versions(self.tables)
        watch(self)

    def follow(self, names: Iterable[str]) -> None:
        """Plain attributes, among other names, that a plan reads from now on. Other threads may be asking meanwhile."""
        more = {name: self.held[name] for name in self.held.keys() & names}
        self.read = {name: (one, one.tensor.data_ptr(), _version(one.tensor)) for name, one in more.items()} | self.read

    def tensors(self) -> Iterator[Tensor]:
        """Those that are followed now."""
        for table in self.tables:
            yield from (value for value in tuple(table.values()) if isinstance(value, Tensor))
        yield from (one.tensor for one, *_ in self.read.values())

    def changed(self) -> bool:
        """Whether any tensor was written, or anything replaced, since."""
        own = list(self._now()) != self.seen if self.native is None else self.native.changed()
        return own or (bool(self.read) and self._read_changed())

    def _read_changed(self) -> bool:
        return any(
            one.replaced() or (one.tensor.data_ptr(), _version(one.tensor)) != (data, version)
            for one, data, version in self.read.values()
        )

    def _now(self) -> Iterator[tuple[Any, ...]]:
        for table in self.tables:
            for value in table.values():
                is_tensor = isinstance(value, Tensor)
                yield id(value), _version(value) if is_tensor else 0, value.data_ptr() if is_tensor else 0


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version


def _tables(module: nn.Module) -> list[dict[str, Any]]:
    return [table for table in (module._parameters, module._buffers, module._modules) if table]
