"""Forward hooks of a network's layers: of counters of operations, class activation maps and the like."""

from __future__ import annotations

from torch import nn
from torch.nn.modules import module as every
from torch.utils.hooks import RemovableHandle


class Hooks:
    """Knows whether a module has any."""

    def __init__(self, module: nn.Module):
        self.module = module
        self.seen, self.found = -1, False

    def are_there(self) -> bool:
        """The layers are looked through only after a hook was registered anywhere, and while there are any."""
        if self.found or self.seen != RemovableHandle.next_id:
            self.seen = RemovableHandle.next_id
            self.found = bool(every._global_forward_hooks or every._global_forward_pre_hooks) or any(
                part._forward_hooks or part._forward_pre_hooks for part in self.module.modules()
            )
        return self.found
