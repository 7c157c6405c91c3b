"""Forward hooks that a network's layers got after it was optimized: by counters of operations, class activation maps
and the like."""

from __future__ import annotations

from torch import nn
from torch.nn.modules import module as every
from torch.utils.hooks import RemovableHandle


class Hooks:
    """Knows the hooks that a module had at first, which planning tells of, from those that were added since."""

    def __init__(self, module: nn.Module):
        self.module = module
        self.first = self._now()
        self.seen, self.found = RemovableHandle.next_id, False

    def added(self) -> bool:
        """Whether there are others now. The layers are looked through only after a hook was registered anywhere."""
        if self.found or self.seen != RemovableHandle.next_id:
            self.seen = RemovableHandle.next_id
            self.found = not self._now() <= self.first
        return self.found

    def _now(self) -> set[int]:
        tables = [(part._forward_hooks, part._forward_pre_hooks) for part in self.module.modules()]
        of_all = (every._global_forward_hooks, every._global_forward_pre_hooks)
        return {handle for pair in (of_all, *tables) for table in pair for handle in table}
