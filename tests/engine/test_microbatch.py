"""Large batches are played in parts: which, and that nothing else changes."""

import pytest
import torch
from torch import nn

from hrnet_fast import create_model, explain, kernels, optimize, verify
from hrnet_fast.engine.cpu.microbatch import images_at_once, split, with_batch
from hrnet_fast.engine.executors import native
from hrnet_fast.engine.executors.amx import AmxExecutor
from hrnet_fast.plan import make_plan, named_tensors
from hrnet_fast.plan.lifetimes import most_alive
from hrnet_fast.weights.random import fill_weights, without_init
from tests.networks import tiny_net

NO_NATIVE = native.unsupported()
pytestmark = pytest.mark.skipif(NO_NATIVE is not None, reason=str(NO_NATIVE))


def small(tag):
    with without_init():
        model = create_model(f"hrnet_w18_small.{tag}")
    return fill_weights(model).eval()


@pytest.fixture
def in_threes(monkeypatch):
    monkeypatch.setattr(native, "images_at_once", lambda *_, **__: 3)


@pytest.mark.parametrize("images", [0, 1, 2, 3, 7, 100])
@pytest.mark.parametrize("batch", [1, 2, 3, 5, 8, 13, 64])
def test_parts_are_nearly_alike_and_make_up_the_batch(batch, images):
    parts = split(batch, images)
    assert sum(parts) == batch and parts == sorted(parts, reverse=True) and parts[0] - parts[-1] <= 1
    assert parts == [batch] if images == 0 else parts[0] < max(2, 1.5 * images + 1)


def plan_of(net, *shape):
    return make_plan(net, torch.empty(shape))


def test_weights_and_maps_decide():
    net = small("pose_coco_256x192")
    small_maps, large_maps = (images_at_once(plan_of(net, 2, 3, *size), False, True) for size in ((64, 64), (512, 512)))
    assert small_maps > 2 * large_maps >= 2
    of_any_batch = {images_at_once(plan_of(net, n, 3, 128, 96), False, True) for n in (1, 4, 50)}
    assert len(of_any_batch) == 1


@pytest.mark.parametrize(
    ("name", "size", "images", "in_cache"),
    [
        ("hrnet_w32.pose_coco_256x192", (256, 192), 5, 2),
        ("hrnet_w48.pose_coco_384x288", (384, 288), 4, 1),
        ("hrnet_w18.cls_in1k", (224, 224), 4, 2),
        ("hrnet_w48.seg_cityscapes", (512, 1024), 1, 1),
        ("hrnet_w18_small.seg_cityscapes", (256, 512), 1, 1),
    ],
)
def test_images_of_known_networks(name, size, images, in_cache):
    """In a cache of 32 MB; in a large one, and where none is known, the weights decide."""
    with torch.device("meta"):
        plan = plan_of(create_model(name), 16, 3, *size)
    parts = [images_at_once(plan, False, True, cache=cache) for cache in (None, 1 << 30, 32 << 20)]
    assert parts == [images, images, in_cache]


def test_half_the_cache_holds_the_maps_of_a_part():
    plan, batch = plan_of(small("pose_coco_256x192"), 3, 3, 128, 96), 3
    image = 4 * most_alive(plan) / batch
    assert [images_at_once(plan, False, True, cache=int(2 * n * image) + 8) for n in (1, 2, 3)] == [1, 2, 3]
    assert images_at_once(plan, True, True, per_word=2, cache=int(2 * image) + 8) == 2
    assert images_at_once(plan, False, True, cache=1) == 1


class Mixed(nn.Module):
    """Images that depend on each other."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, x):
        y = self.conv(x)
        return self.conv(x) - y.mean(0, keepdim=True)


@pytest.mark.parametrize("net", [Mixed(), small("seg_ocr_lip")], ids=["images mixed", "batch among arguments"])
def test_a_batch_that_is_more_than_its_images_stays_whole(net):
    net, x = net.eval(), torch.randn(4, 3, 64, 64)
    fast = optimize(net, executor="native", example=x)
    assert images_at_once(fast.plan_for(x), False, True) == 0
    assert verify(net, fast, x).passed


class Applied(nn.Module):
    """A convolution, and a function of its map."""

    def __init__(self, function):
        super().__init__()
        self.conv, self.function = nn.Conv2d(3, 8, 3, padding=1), function

    def forward(self, x):
        return self.function(self.conv(x))


@pytest.mark.parametrize(
    "function",
    [
        lambda y: y.mean(0, keepdim=True),
        lambda y: y.flatten(0, 1),
        lambda y: y.mean((2, 3)).transpose(0, 1),
        lambda y: y.mean((2, 3)).transpose(0, 1) @ y.mean((2, 3)),
        lambda y: y.mean(0),
    ],
    ids=["mean", "flat", "turned", "product", "map"],
)
@pytest.mark.parametrize("batch", [1, 7])
def test_a_value_may_begin_with_another_side_than_the_batch(function, batch):
    net, x = fill_weights(Applied(function)).eval(), torch.randn(batch, 3, 5, 6)
    report = verify(net, optimize(net, executor="native", example=x), x, levels=True)
    assert report.passed, str(report)


class Viewed(nn.Module):
    """The classifier of the official repository, in short: a mean, and a view that knows how many images there are."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 512, 1), nn.Linear(512, 10)

    def forward(self, x):
        y = self.conv(x)
        return self.head(nn.functional.avg_pool2d(y, kernel_size=y.size()[2:]).view(y.size(0), -1))


def test_a_view_that_knows_the_number_of_images_splits_only_where_torch_does_not_play_it():
    plan = plan_of(Viewed().eval(), 8, 3, 2, 2)
    assert images_at_once(plan, True, functions=True) > 0
    assert images_at_once(plan, True, functions=False) == 0


@pytest.mark.parametrize("tag", ["pose_coco_256x192", "seg_cityscapes", "cls_in1k", "det_coco"])
@pytest.mark.parametrize("batch", [7, 9])
def test_numbers(tag, batch, in_threes):
    torch.set_num_threads(2)
    net, x = tiny_net(tag), torch.randn(batch, 3, 64, 96)
    fast = optimize(net, executor="native", example=x)
    report = verify(net, fast, x, levels=True)
    assert report.passed and len(report.levels) > 20, str(report)
    assert all("in 2 parts of up to 4" in level.reason for level in explain(fast, x).levels) == (batch == 7)


def test_a_convolution_that_torch_plays_is_played_in_parts_too(in_threes):
    parts = [nn.Conv2d(3, 12, 7, 2, 3), nn.ReLU(), *(nn.Conv2d(12, 12, 3, padding=1) for _ in range(8))]
    net, x = fill_weights(nn.Sequential(*parts)), torch.randn(8, 3, 20, 21)
    fast = optimize(net, example=x)
    plan = explain(fast, x)
    assert plan.levels[0].executor == "torch" and plan.levels[1].reason.endswith("images in 3 parts of up to 3")
    report = verify(net, fast, x)
    assert report.passed, str(report)


def test_an_image_has_the_same_result_in_any_part_and_for_any_number_of_threads(in_threes):
    net, x = small("pose_coco_256x192"), torch.randn(9, 3, 64, 96)
    expected = optimize(net, executor="native")(x)
    turned = optimize(net, executor="native")(x.roll(4, 0)).roll(-4, 0)
    assert torch.equal(turned, expected)
    for count in (1, 3, 4, 8):  # parts of 3, 3, 6 and 12 images
        torch.set_num_threads(count)
        assert torch.equal(optimize(net, executor="native")(x), expected), count


@pytest.mark.parametrize(("count", "end"), [(2, "float32, images in 2 parts of up to 4"), (4, "float32")])
def test_explain_tells_the_parts_for_the_threads_that_play(count, end, in_threes):
    torch.set_num_threads(count)
    assert explain(small("pose_coco_256x192"), (7, 3, 64, 96), executor="native").levels[0].reason.endswith(end)


def test_slices_dtypes_and_layouts(in_threes):
    net, x = small("pose_coco_256x192"), torch.randn(14, 4, 64, 130)[::2, 1:, :, 1:97]
    fast = optimize(net, executor="native")
    expected = fast(x.contiguous())
    assert torch.equal(fast(x), expected)
    channels_last = fast(x.contiguous(memory_format=torch.channels_last))
    assert torch.equal(channels_last, expected) and channels_last.is_contiguous(memory_format=torch.channels_last)
    half = fast(x.bfloat16())
    assert half.dtype == torch.bfloat16 and torch.equal(half, fast(x.bfloat16().float()).bfloat16())
    poisoned = x.clone()
    poisoned[4] = torch.nan
    result = fast(poisoned)
    assert result[4].isnan().all() and torch.equal(result[:4], expected[:4]) and torch.equal(result[5:], expected[5:])


def test_on_emulated_tiles(in_threes):
    module = kernels.extension().module
    try:
        module.CpuProgram("amx-emulated")
    except ValueError as error:
        pytest.skip(str(error))
    net, x = small("cls_in1k"), torch.randn(7, 3, 32, 64)

    def play(*inputs):
        return AmxExecutor(named_tensors(net), isa="amx-emulated").prepare(make_plan(net, *inputs))(inputs)[0]

    assert torch.equal(play(x), torch.cat([play(part) for part in x.split(4)]))


def test_maps_take_no_more_memory_for_more_images():
    fast = optimize(small("seg_cityscapes"), executor="native")

    def elements(batch):
        x = torch.empty(batch, 3, 128, 256)
        count = sum(part.arena.size for part in set(fast.program_for(x).run.__self__.parts))
        assert explain(fast, x).map_bytes == 4 * count
        return count

    assert elements(64) <= 2 * elements(4)


def test_a_plan_of_another_batch_has_the_same_items():
    plan = plan_of(small("cls_in1k"), 2, 3, 64, 64)
    other = with_batch(plan, 5)
    assert other.levels == plan.levels
    assert [value.shape for value in other.values] == [(5, *value.shape[1:]) for value in plan.values]
