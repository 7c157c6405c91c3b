"""Whether a module's tensors were written or replaced since its weights were packed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from hrnet_fast import kernels

from .optimizer_steps import watch


class Versions:
    """Remembers the tensors and submodules of a module, and what tells of writes to them: torch's version counters, and
    where their data lies.

    Batch normalization writes its running statistics without counting; it counts batches in a buffer of integers.
    Steps of optimizers are counted by `steps`.
    Tensors of inference mode have no counters.
    """

    def __init__(self, module: nn.Module):
        self.tables = [table for part in module.modules() for table in _tables(part)]
        watch(module.parameters())
        self.seen = list(self._now())
        native = kernels.extension().module
        self.native = None if native is None else native.Versions(self.tables)

    def changed(self) -> bool:
        """Whether any tensor was written, or anything replaced, since."""
        return list(self._now()) != self.seen if self.native is None else self.native.changed()

    def _now(self) -> Iterator[tuple[Any, ...]]:
        for table in self.tables:
            for value in table.values():
                is_tensor = isinstance(value, Tensor)
                counted = is_tensor and not value.is_inference()
                yield id(value), value._version if counted else 0, value.data_ptr() if is_tensor else 0


def _tables(module: nn.Module) -> list[dict[str, Any]]:
    return [table for table in (module._parameters, module._buffers, module._modules) if table]
