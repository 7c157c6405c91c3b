"""How torch is told to compute convolutions on a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ..locks import Lock

_set = Lock(reentrant=True)  # the settings are the process's: else one thread would restore what another one has set


def allows_tf32() -> bool:
    """Whether torch's own convolutions multiply float32 in TF32, by `cudnn.allow_tf32` or any `fp32_precision`.

    The former raises RuntimeError where the latter was set.
    """
    return torch.backends.cudnn.conv.fp32_precision == "tf32"  # type: ignore[attr-defined]  # torch's types lack it


@contextmanager
def cudnn_set(**settings: bool) -> Iterator[None]:
    """Attributes of `torch.backends.cudnn` for a while; the others stay, as they do not with its `flags`. One thread at
    a time."""
    with _set:
        before = {name: getattr(torch.backends.cudnn, name) for name in settings}
        try:
            for name, value in settings.items():
                setattr(torch.backends.cudnn, name, value)
            yield
        finally:
            for name, value in before.items():
                setattr(torch.backends.cudnn, name, value)
