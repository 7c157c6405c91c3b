"""What Triton makes of a launch on its way to a GPU that it is told of: which launches share a kernel, and that offline
the same kernels are compiled."""

from types import SimpleNamespace

import pytest
import torch

from hrnet_fast import create_model
from hrnet_fast.engine.gpu.gpu import Gpu
from hrnet_fast.engine.gpu.layout import allocate
from hrnet_fast.engine.gpu.triton_lower import TritonLowering
from hrnet_fast.kernels.level import Launch
from hrnet_fast.plan import inference_view, make_plan, named_tensors

offline = pytest.importorskip("tests.kernels.offline", reason="Triton is not installed")
from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.runtime import driver  # noqa: E402

from hrnet_fast.kernels import triton as kernels  # noqa: E402

pytestmark = pytest.mark.filterwarnings("error:TRITON_DEFAULT_FP_FUSION")  # what Triton would warn a user of
DEVICE = -1  # no GPU has this number, so that what Triton keeps of it is nobody else's
NETWORKS = [("hrnet_w32.pose_coco_256x192", (256, 192)), ("hrnet_w18_small.seg_ocr_lip", (32, 64)),
            ("hrnet_w18_small.cls_in1k", (32, 32))]  # fmt: skip


@pytest.fixture
def hopper(monkeypatch):
    """A GPU that Triton takes for the current one."""
    target = GPUTarget("cuda", 90, 32)
    told = SimpleNamespace(get_current_target=lambda: target, get_current_device=lambda: DEVICE)
    monkeypatch.setattr(driver, "_active", told)


def launches_of(name: str, size: tuple[int, int]) -> list[Launch]:
    with torch.device("meta"):
        model = create_model(name)
    plan = make_plan(inference_view(model.eval()), torch.empty(1, 3, *size, device="meta"))
    tensors = {key: torch.zeros(tensor.shape) for key, tensor in named_tensors(model).items()}
    lowering = TritonLowering(tensors, torch.float16, torch.device("meta"), "ieee", True)
    choice = lambda level: lowering.model_choice(plan, level, Gpu())  # noqa: E731
    steps = lowering.steps(plan, allocate(plan, torch.float16, torch.device("meta")), choice)
    return [launch for step in steps for launch in step.launches]


def seen_by_triton(launch: Launch) -> tuple:
    """The key of the kernel that a launch gets; signature, constants and attributes that it is compiled for."""
    function = kernels.kernel("level", False)
    *_, backend, binder = function.device_caches[DEVICE]
    named = {**launch.constants, "WIDEN": False, **launch.options}
    bound, specialisation, options = binder(*launch.arguments, **named)
    options, signature, constants, attributes = function._pack_args(backend, named, bound, specialisation, options)
    return str((specialisation, sorted(options.__dict__.items(), key=str))), signature, constants, attributes


def plain(attributes: dict) -> dict:
    return {path: marks for path, marks in attributes.items() if marks}


@pytest.mark.parametrize(("name", "size"), NETWORKS, ids=lambda each: str(each))
def test_offline_and_on_a_gpu_the_same_kernels_are_compiled(name, size, hopper):
    """`specialisation` tells them apart as Triton does: what is compiled ahead is what is launched."""
    pairs, ones = set(), 0
    for launch in launches_of(name, size):
        key, signature, constants, attributes = seen_by_triton(launch)
        want_signature, want_constants, want_attributes = offline.described(launch)
        assert signature == want_signature and plain(attributes) == want_attributes
        assert constants == want_constants
        pairs.add((launch.specialisation, key))
        ones += any(len(path) > 1 for path in constants)
    assert len(pairs) == len({own for own, _ in pairs}) == len({key for _, key in pairs})
    assert ones or min(size) > 32  # a network small enough for numbers that are 1


def test_maps_of_one_pixel_compile():
    """There, sizes and numbers of programs become constants."""
    launches = {each.specialisation: each for each in launches_of("hrnet_w18_small.cls_in1k", (32, 32))}
    found = [each for each in launches.values() if any(len(path) > 1 for path in offline.described(each)[1])]
    assert found
    for launch in found[-3:]:
        code = offline.compile_for(launch, 90)
        assert (code.stack, code.local) == (0, 0)


def test_a_compiled_launch_lacks_nothing(monkeypatch):
    """In Triton 3.6 the C program that launches a kernel takes longer to make than the kernel."""
    asked = []

    class Made:
        @property
        def run(self):
            asked.append("run")

    function = SimpleNamespace(warmup=lambda *arguments, **options: asked.append("warmup") or Made())
    monkeypatch.setattr(kernels, "kernel", lambda name, interpreted: function)
    launches_of(*NETWORKS[2])[0].compile()
    assert asked == ["warmup", "run"]
