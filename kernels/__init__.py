"""The ops that HRNet needs and torch lacks: they know tensors, not HRNet.

One page an op: formula, shapes, schema, checks, and `*_ref`, the same in plain torch.
The C++ and CUDA files of an op bear its name in csrc/.
"""

from .extension import Extension, extension
from .fuse_sum import fuse_sum, fuse_sum_ref
from .library import implementations
from .resize_concat import resize_concat, resize_concat_ref

__all__ = [
    "Extension",
    "extension",
    "fuse_sum",
    "fuse_sum_ref",
    "implementations",
    "resize_concat",
    "resize_concat_ref",
]
