import subprocess
import sys

import pytest
import torch

from hrnet_fast import kernels

MAPS = [torch.randn(2, 6, 5, 4), torch.randn(2, 6, 3, 2).contiguous(memory_format=torch.channels_last)]
SAMPLES = {
    "fuse_sum-nearest": (torch.ops.hrnet_fast.fuse_sum.default, (MAPS, (5, 4), "nearest", False, True)),
    "fuse_sum-bilinear": (torch.ops.hrnet_fast.fuse_sum.default, (MAPS, (9, 7), "bilinear", True, False)),
    "fuse_sum-one": (torch.ops.hrnet_fast.fuse_sum.default, (MAPS[1:], (3, 2), "nearest", False, False)),
    "resize_concat": (torch.ops.hrnet_fast.resize_concat.default, (MAPS, (5, 4), "bilinear", False)),
}


@pytest.mark.parametrize(("op", "arguments"), SAMPLES.values(), ids=SAMPLES)
def test_opcheck(op, arguments):
    torch.library.opcheck(op, arguments)


def test_every_op_names_its_implementations():
    table = kernels.implementations()
    ops = {"affine_crop", "fuse_sum", "heatmap_decode", "resample_argmax", "resize_concat", "upsample_argmax"}
    assert set(table) == ops
    compiled = {"cpu": "c++", "cuda": "cuda"}
    built = {"none": [], "cpu": ["cpu"], "cuda": ["cpu", "cuda"]}[kernels.extension().kind]
    for op in table.values():
        for device, language in compiled.items():
            assert op[device] == (language if device in built else "torch")
            assert (device in op["reasons"]) == (op[device] == "torch")
        assert all(isinstance(reason, str) and reason for reason in op["reasons"].values())


WITHOUT = """
import sys
sys.modules["hrnet_fast.kernels._C"] = None
import torch
from hrnet_fast import kernels
torch.manual_seed(0)
maps = [torch.randn(2, 6, 5, 4), torch.randn(2, 6, 3, 2)]
for name, arguments in {"fuse_sum": ("bilinear", False, True), "resize_concat": ("bilinear", False)}.items():
    got = getattr(kernels, name)(maps, (5, 4), *arguments)
    assert torch.equal(got, getattr(kernels, name + "_ref")(maps, (5, 4), *arguments))
    assert got.is_contiguous(memory_format=torch.channels_last)
    torch.library.opcheck(getattr(torch.ops.hrnet_fast, name).default, (maps[:1], (5, 4), *arguments))
for op in kernels.implementations().values():
    assert op["cpu"] == op["cuda"] == "torch", op
    print(op["reasons"]["cpu"])
"""


@pytest.mark.skipif(
    kernels.extension().module is None, reason="the extension is not built: the other tests run without"
)
def test_without_the_extension_torch_computes_and_the_reason_is_kept():
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("the C++ extension could not be opened (import of hrnet_fast.kernels._C halted")
