"""What the CUDA kernels cost, by ptxas: no spills, and registers that leave room for many threads; and by the machine
code, that the level kernel works on tensor cores and moves 16 bytes at a time."""

import re
from pathlib import Path

import pytest

from hrnet_fast.kernels import extension
from hrnet_fast.kernels.cuda_level import WARP_COLUMNS
from tests.kernels.nvcc import (
    CSRC,
    cuobjdump,
    cuobjdump_is_older,
    find_cuobjdump,
    instructions,
    machine_code,
    usage,
    why_not,
)

# kernels in a file, and registers of a thread: of the 65,536 of a multiprocessor, 40 serve 1,536 threads at once, 56
# 1,152, 72 896 and 144 448 (labels of eight maps, whose corners all stay in registers)
KERNELS = {
    "affine_crop_launch": (1, 40),
    "heatmap_decode_launch": (4, 40),
    "resample_argmax_launch": (4, 72),
    "resize_sum_launch": (8, 56),
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


# of the level kernel's mangled name, by dtype: the product that it is made of, and that of warpgroups
PRODUCTS = {
    "kernelIfE": ("HMMA.1688.F32.TF32", "HGMMA.64x{}x8.F32.TF32"),
    "bf16_t": ("HMMA.16816.F32.BF16", "HGMMA.64x{}x16.F32.BF16"),
    "5f16_t": ("HMMA.16816.F32", "HGMMA.64x{}x16.F32"),
}


@pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
@pytest.mark.parametrize("arch", ["80", "90a"])
def test_the_level_kernel(arch, tmp_path):
    """Two CTAs of 256 threads share a multiprocessor: at most 128 registers a thread. Convolutions alone and
    the steps of chains run through the same bodies, each with a whole step along K and half a one. All shared memory is
    asked for at the launch, which allows itself as much of it as there is."""
    costs = usage(CSRC / "cuda/level_launch.cu", arch, tmp_path)
    kernels = [each for each in costs if "level_kernel" in each.name]
    assert len(kernels) == 3
    for kernel in kernels:
        assert (kernel.stack, kernel.spilled, kernel.shared) == (0, 0, False), kernel
        assert kernel.registers <= 128, kernel
    if find_cuobjdump() is None:
        pytest.skip("registers and spills are as they should be; there is no cuobjdump to look at the machine code")
    found = instructions(tmp_path / "level_launch.cubin")
    for mark, (product, grouped) in PRODUCTS.items():
        (code,) = (counts for name, counts in found.items() if mark in name)
        of_groups = {grouped.format(columns): 10 for columns in WARP_COLUMNS if arch == "90a"}
        assert {name: code[name] for name in code if "MMA" in name and name != product} == of_groups
        assert code[product] == sum(2 * 2 * columns // 8 for columns in WARP_COLUMNS)
        assert {name for name in code if name.startswith("LDGSTS")} == {"LDGSTS.E.BYPASS.128"}
        assert {name for name in code if name.startswith("LDSM")} == {"LDSM.16.M88.4", "LDSM.16.M88.2"}
        assert not {name for name in code if name.startswith(("LDL", "STL"))}
        assert ("ACQBULK" in code and "PREEXIT" in code) == (arch == "90a")
    if arch == "90a":  # a step starts beside the one before, twice in a body's loop, unless rows are rounded
        for name, code in machine_code(tmp_path / "level_launch.cubin").items():
            waits = re.findall(r"WARPGROUP\.DEPBAR\.LE gsb0, 0x(\d+)", code)
            assert waits.count("1") == ("16_t" in name) * 2 * len(WARP_COLUMNS), name
    dump = cuobjdump("-elf", tmp_path / "level_launch.cubin")
    assert "slowpath" not in dump  # a division that is a call
    (told,) = re.findall(r"^\.nv\.info\.\S*markEv$(.*?)^\.", dump, re.MULTILINE | re.DOTALL)
    threads = re.findall(r"EIATTR_MAX_THREADS\s+Format:\s+\w+\s+Value:\s+(\w+)", told)
    assert threads == (["0x80"] if arch == "90a" else [])  # by which the host knows code with warpgroups


@pytest.mark.skipif(extension().kind != "cuda", reason=str(extension().reason))
@pytest.mark.skipif(find_cuobjdump() is None, reason="there is no cuobjdump")
@pytest.mark.skipif(cuobjdump_is_older() is not None, reason=str(cuobjdump_is_older()))
def test_the_built_extension_holds_what_its_record_says():
    file = Path(extension().module.__file__)
    found = set(re.findall(r"\.(sm_\w+)\.cubin$", cuobjdump("--list-elf", file), re.MULTILINE))
    found |= {
        f"compute_{arch}" for arch in re.findall(r"\.sm_(\w+)\.ptx$", cuobjdump("--list-ptx", file), re.MULTILINE)
    }
    assert found == set(extension().build["arches"].split())
    assert len(extension().build["cuda_level"]) == 64


@pytest.mark.skipif(extension().kind != "cuda", reason=str(extension().reason))
@pytest.mark.skipif(find_cuobjdump() is None, reason="there is no cuobjdump")
def test_the_built_extension_multiplies_by_warpgroups():
    """Only code of sm_90a can, and a GPU that finds code of sm_90 beside it may take that."""
    if not re.search(r"\bsm_90", extension().build["arches"]):
        pytest.skip("the extension was built for others than sm_90 alone")
    found = instructions(Path(extension().module.__file__), "-arch", "sm_90a")
    for mark, (_, grouped) in PRODUCTS.items():
        (code,) = (counts for name, counts in found.items() if "level_kernel" in name and mark in name)
        assert {name for name in code if "HGMMA" in name} == {grouped.format(columns) for columns in WARP_COLUMNS}
    assert "sm_90" not in extension().build["arches"].split()
