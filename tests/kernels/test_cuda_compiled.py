"""What the CUDA kernels of the small ops cost, by ptxas: no spills, and registers that leave room for many threads."""

import pytest

from tests.kernels.nvcc import CSRC, usage, why_not

# kernels in a file, and registers of a thread: of the 65,536 of a multiprocessor, 40 serve 1,536 threads at once, 56
# 1,152, 72 896 and 144 448 (labels of eight maps, whose corners all stay in registers)
KERNELS = {
    "affine_crop_launch": (1, 40),
    "heatmap_decode_launch": (4, 40),
    "resample_argmax_launch": (3, 72),
    "resize_sum": (8, 56),
    "upsample_argmax_launch": (9, 144),
}


@pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
@pytest.mark.parametrize("arch", [80, 90])
@pytest.mark.parametrize("name", KERNELS)
def test_kernels_keep_to_their_registers(name, arch, tmp_path):
    count, registers = KERNELS[name]
    kernels = usage(CSRC / f"cuda/{name}.cu", arch, tmp_path)
    assert len(kernels) == count
    for kernel in kernels:
        assert (kernel.stack, kernel.spilled) == (0, 0), kernel
        assert kernel.registers <= registers, kernel
