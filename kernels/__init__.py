"""The ops that HRNet needs and torch lacks: they know tensors, not HRNet.

One page an op: formula, shapes, schema, checks, and `*_ref`, the same in plain torch.
The C++ and CUDA files of an op bear its name in csrc/.
"""

if __name__ == "kernels":
    raise ImportError(
        "this folder `kernels` is hrnet_fast.kernels, not the package of that name: to import that one, start Python "
        "where hrnet_fast's checkout is not the current folder"
    )

from .affine_crop import affine_crop, affine_crop_ref
from .extension import Extension, extension
from .fuse_sum import fuse_sum, fuse_sum_ref
from .heatmap_decode import flip_average, heatmap_decode, heatmap_decode_ref
from .library import implementations
from .resample_argmax import Axis, resample_argmax, resample_argmax_ref
from .resize_concat import resize_concat, resize_concat_ref
from .upsample_argmax import upsample_argmax, upsample_argmax_ref

__all__ = [
    "Axis",
    "Extension",
    "affine_crop",
    "affine_crop_ref",
    "extension",
    "flip_average",
    "fuse_sum",
    "fuse_sum_ref",
    "heatmap_decode",
    "heatmap_decode_ref",
    "implementations",
    "resample_argmax",
    "resample_argmax_ref",
    "resize_concat",
    "resize_concat_ref",
    "upsample_argmax",
    "upsample_argmax_ref",
]
