"""What Triton's compiler makes of the level kernel for GPUs that need not be there: registers, copies, tensor cores.

Every tile that the engine may choose is compiled for every architecture and dtype, and must not spill. The instructions
are those of a tile whose K is not shared, and of one whose K is shared by as many programs as may be.
"""

import pytest
import torch

from hrnet_fast import create_model
from hrnet_fast.engine.gpu.gpu import Gpu
from hrnet_fast.engine.gpu.layout import allocate
from hrnet_fast.engine.gpu.triton_lower import TritonLowering
from hrnet_fast.engine.gpu.triton_tiles import Problem, candidates, stages
from hrnet_fast.kernels.bordered import BorderedMap
from hrnet_fast.kernels.level import ConvWork, Launch, MapTerm, SumWork, Tile, pack_weight
from hrnet_fast.plan import inference_view, make_plan, named_tensors

offline = pytest.importorskip("tests.kernels.offline", reason="Triton is not installed")
pytestmark = pytest.mark.filterwarnings("error:TRITON_DEFAULT_FP_FUSION")

ARCHES = {80: Gpu(80, 108, 164 * 1024), 89: Gpu(89, 128, 100 * 1024), 90: Gpu()}
KINDS = {
    "float16": (torch.float16, "ieee"),
    "bfloat16": (torch.bfloat16, "ieee"),
    "tf32": (torch.float32, "tf32"),
    "float32": (torch.float32, "ieee"),
}
by_arch = pytest.mark.parametrize("arch", ARCHES)
by_kind = pytest.mark.parametrize("kind", KINDS)


def blank(channels, side, dtype):
    return BorderedMap.zeros((1, channels, side, side), dtype)


def residual_block_half(tile, channels, dtype):
    """relu(conv3x3(x) + residual) of `channels` channels, tiled so that its rows and columns are full."""
    x, out = blank(channels, 16, dtype), blank(max(channels, tile.columns), 16, dtype)
    weight = torch.zeros(out.shape[1], channels, 3, 3)
    packed = pack_weight(weight, None, tile, dtype)
    return ConvWork(out, (MapTerm(x),), *packed, (3, 3), (1, 1), (1, 1), tile, False, (MapTerm(out),), "last")


def tiles_of(dtype, precision, gpu):
    """Every tile that a large problem may get: large enough for all of them."""
    own = Problem(1 << 16, 512, 4608, dtype.itemsize, exact=dtype == torch.float32 and precision == "ieee")
    return candidates(own, gpu)


@by_arch
@by_kind
def test_every_tile(kind, arch):
    (dtype, precision), gpu = KINDS[kind], ARCHES[arch]
    tiles = tiles_of(dtype, precision, gpu)
    most = {(tile.rows, tile.columns, tile.step): tile for tile in sorted(tiles, key=lambda tile: tile.split)}

    def compiled(tile):
        options = dict(precision=precision, stages=stages([tile], dtype.itemsize, gpu), pdl=arch >= 90)
        # 48 channels: a kernel row of 144 is no multiple of a step, the harder way to address
        code = offline.compile_for(Launch([residual_block_half(tile, 48, dtype)], **options), arch)
        assert (code.stack, code.local) == (0, 0), f"{tile} spills: {code}"
        assert code.registers <= 255 and code.shared <= offline.SHARED_MEMORY[arch], f"{tile}: {code}"
        if tile.split == 1 or tile == most[tile.rows, tile.columns, tile.step]:
            assert code.count("LDL|STL") == 0, f"{tile} spills"
            return tile, code
        return None

    assert len(tiles) >= 6
    found = dict(filter(None, map(compiled, tiles)))  # one by one: older Pythons do not parse in threads
    for tile, code in found.items():
        assert code.count(r"LDGSTS.*128") > 0, f"{tile} does not copy 16 bytes at a time"
        if kind != "float32":
            wanted = "HGMMA" if arch >= 90 else "HMMA"
            assert code.count(wanted) > 0, f"{tile} does not use the tensor cores: {code.instructions}"
        if arch >= 90:
            assert code.count("ACQBULK") > 0 and code.count("PREEXIT") > 0, f"{tile} waits for no other launch"


@by_arch
def test_a_level_of_four_branches(arch):
    """Two programs a multiprocessor: registers and shared memory allow the residency that the tile model counts on."""
    dtype, works = torch.float16, []
    tiles = {256: Tile(64, 64, 32, 4), 128: Tile(64, 64, 32, 2), 64: Tile(64, 64), 32: Tile(64, 32)}
    for channels, tile in tiles.items():
        works.append(residual_block_half(tile, channels, dtype))
    code = offline.compile_for(Launch(works, stages=3, pdl=arch >= 90), arch)
    assert (code.stack, code.local) == (0, 0)
    assert code.registers * 128 * 2 <= 65536 and 2 * code.shared <= offline.SHARED_MEMORY[arch]


@by_arch
def test_exchanges_of_a_large_network(arch):
    """Every level of W48 segmentation that adds interpolated maps, at 1024x2048, where tiles are the largest."""
    with torch.device("meta"):
        model = create_model("hrnet_w48.seg_cityscapes")
    plan = make_plan(inference_view(model.eval()), torch.empty(1, 3, 1024, 2048, device="meta"))
    dtype, device, gpu = torch.bfloat16, torch.device("meta"), ARCHES[arch]
    tensors = {key: torch.zeros(t.shape) for key, t in named_tensors(model).items()}
    lowering, memory = TritonLowering(tensors, dtype, device, "ieee", arch >= 90), allocate(plan, dtype, device)
    adds = lambda item: any(term.resize for term in getattr(item, "terms", ()))  # noqa: E731
    levels = [level for level in plan.levels if any(map(adds, level.items))]
    launches = {}
    for level in levels:
        choice = lowering.model_choice(plan, level, gpu)
        (launch,) = lowering.step(plan, level, memory, choice, arch >= 90).launches
        launches[launch.specialisation] = launch
    found = [offline.compile_for(launch, arch) for launch in launches.values()]
    assert len(found) >= 3
    for code in found:
        assert (code.stack, code.local) == (0, 0) and code.shared <= offline.SHARED_MEMORY[arch]


@by_arch
@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bilinear_corners"])
def test_sums_and_formed_sources(mode, arch):
    """The head of a segmentation network: four maps of 270 channels, three of them interpolated, in one product."""
    dtype, gpu = torch.float16, ARCHES[arch]
    for tile in candidates(Problem(1 << 16, 24, 272, 2, formed=True), gpu):
        terms = tuple(MapTerm(blank(270, 16 >> i, dtype), mode if i else "same") for i in range(4))
        packed = pack_weight(torch.zeros(19, 270, 1, 1), None, tile, dtype)
        head = ConvWork(blank(19, 16, dtype), terms, *packed, (1, 1), (1, 1), (0, 0), tile, True)
        total = SumWork(blank(270, 16, dtype), terms, Tile(64, 32), 0, True)
        code = offline.compile_for(Launch([head, total], stages=5), arch)
        assert (code.stack, code.local) == (0, 0)
        assert code.shared <= offline.SHARED_MEMORY[arch]
        assert code.count("HGMMA" if arch >= 90 else "HMMA") > 0
