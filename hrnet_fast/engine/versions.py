"""Whether a module's tensors were written in place since its weights were packed."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from hrnet_fast import kernels


class Versions:
    """Remembers torch's version counters of floating tensors. Those of inference mode have none; batch counters do not
    enter the numbers."""

    def __init__(self, tensors: Iterable[Tensor]):
        self.tensors = [t for t in tensors if t.is_floating_point() and not t.is_inference()]
        self.seen = self._now()
        module = kernels.extension().module
        self.native = None if module is None else module.Versions(self.tensors)

    def changed(self) -> bool:
        """Whether any tensor was written since."""
        return self._now() != self.seen if self.native is None else self.native.changed()

    def _now(self) -> list[int]:
        return [t._version for t in self.tensors]
