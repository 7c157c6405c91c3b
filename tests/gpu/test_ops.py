"""The small ops on a GPU against their CPU twins, and a pose request that stays there. Skipped elsewhere."""

import pytest
import torch

from hrnet_fast import kernels
from hrnet_fast.kernels import affine_crop, heatmap_decode, resample_argmax, upsample_argmax
from hrnet_fast.tasks.pose import PoseEstimator
from tests.kernels.cases import LAYOUTS, in_layout
from tests.kernels.test_affine_crop import MEAN, STD, levels, matrices, noise
from tests.kernels.test_resample_argmax import CASES, make_arguments, whole
from tests.tasks.pose.test_estimator import BOXES, seeing, spot

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
    pytest.mark.skipif(kernels.extension().kind != "cuda", reason=str(kernels.extension().reason)),
]
DTYPES = [torch.float32, torch.bfloat16, torch.float16]
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype).removeprefix("torch."))
by_layout = pytest.mark.parametrize("layout", LAYOUTS)


def on_gpu(x):
    """The same values in the same layout, NaN around a slice included."""
    whole = x if x._base is None else x._base
    return whole.cuda().as_strided(x.shape, x.stride(), x.storage_offset())


def test_every_op_has_cuda_code():
    assert {op["cuda"] for op in kernels.implementations().values()} == {"cuda"}


@by_layout
@pytest.mark.parametrize("dtype", [*DTYPES, torch.float64], ids=str)
@pytest.mark.parametrize("size", [(64, 48), (17, 13), (1, 1), (96, 72)], ids=str)
@pytest.mark.parametrize("flip", [False, True], ids=["plain", "flip"])
def test_points_are_those_of_the_cpu(flip, size, dtype, layout):
    maps, flipped = (in_layout(torch.randn(3, 17, *size).to(dtype), layout, k) for k in (0, 2))
    swap = torch.randperm(17).tolist()
    for shift in (True, False):
        arguments = (maps, flipped, swap, shift) if flip else (maps,)
        got = heatmap_decode(*(on_gpu(x) if isinstance(x, torch.Tensor) else x for x in arguments))
        assert got.device.type == "cuda" and torch.equal(got.cpu(), heatmap_decode(*arguments))


def test_many_channels_and_nan():
    maps = torch.randn(2, 600, 5, 7)
    maps[0, 3, 2, 2] = torch.nan
    maps[1, 599] = -1.0
    torch.testing.assert_close(heatmap_decode(maps.cuda()).cpu(), heatmap_decode(maps), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("count", [0, 1, 64, 65, 200])
@pytest.mark.parametrize("flip", [False, True], ids=["plain", "flip"])
def test_crops_are_those_of_the_cpu_to_a_grey_level(count, flip):
    image, maps = torch.from_numpy(noise()), torch.from_numpy(matrices(count, (33, 17), noise()))
    got, want = (affine_crop(x, maps, (33, 17), MEAN, STD, flip) for x in (image.cuda(), image))
    assert got.device.type == "cuda" and got.shape == want.shape
    if count:
        difference = (levels(got.cpu()) - levels(want)).abs()
        assert difference.max() < 1.001 and (difference > 0.5).float().mean() < 0.01


@by_layout
@by_dtype
@pytest.mark.parametrize("count", [1, 3, 8])
def test_labels_are_those_of_the_cpu(count, dtype, layout):
    maps = [in_layout(torch.randn(2, 19, 16 + k, 32 - k).to(dtype), layout, k) for k in range(count)]
    got, want = (upsample_argmax(list(map(place, maps)), (64, 128)) for place in (on_gpu, lambda x: x))
    assert got.device.type == "cuda" and (got.cpu() == want).float().mean() > 0.999


@by_dtype
@pytest.mark.parametrize("exp", [True, False], ids=["exp", "plain"])
@pytest.mark.parametrize("classes", [19, 150, 256])
def test_resampled_labels_are_those_of_the_cpu(classes, exp, dtype):
    maps = [torch.randn(2, classes, 9, 11).mul(3).to(dtype), torch.randn(2, classes, 7, 5).mul(3).to(dtype)]
    rows, cols = [whole(30, 40), whole(21, 40)], [whole(21, 40), whole(33, 40)]
    got, want = (resample_argmax([x.to(device) for x in maps], rows, cols, exp) for device in ("cuda", "cpu"))
    assert got.device.type == "cuda" and (got.cpu() == want).float().mean() > 0.999


@pytest.mark.parametrize("name", CASES)
def test_resampled_labels_inside_a_graph_of_the_callers(name):
    maps, rows, cols = make_arguments(name)
    captured = [torch.zeros_like(x, device="cuda") for x in maps]
    resample_argmax(captured, rows, cols)  # loads torch's kernels too
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = resample_argmax(captured, rows, cols)
    for sign in (1, -1):
        for x, own in zip(maps, captured, strict=True):
            own.copy_(sign * x)
        graph.replay()
        want = resample_argmax([sign * x for x in maps], rows, cols)
        assert (found.cpu() == want).float().mean() > 0.999


def test_points_and_crops_inside_a_graph_of_the_callers():
    image, maps = torch.from_numpy(noise()).cuda(), torch.from_numpy(matrices(4, (20, 30), noise()))
    heatmaps = torch.randn(2, 17, 64, 48, device="cuda")
    want = affine_crop(image, maps, (20, 30), MEAN, STD), heatmap_decode(heatmaps)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = affine_crop(image, maps, (20, 30), MEAN, STD), heatmap_decode(heatmaps)
    graph.replay()
    torch.cuda.synchronize()
    assert all(torch.equal(a, b) for a, b in zip(found, want, strict=True))


def test_the_current_stream_is_used():
    heatmaps = torch.randn(4, 17, 64, 48, device="cuda")
    want = heatmap_decode(heatmaps)
    torch.cuda.synchronize()
    with torch.cuda.stream(torch.cuda.Stream()):
        late = torch.zeros_like(heatmaps)
        torch.cuda._sleep(20_000_000)  # the copy comes milliseconds later: only its own stream waits for it
        late.copy_(heatmaps)
        found = heatmap_decode(late)
    torch.cuda.synchronize()
    assert torch.equal(found, want)


@pytest.mark.parametrize("flip_test", [True, False], ids=["flip", "once"])
def test_a_pose_request_gives_the_cpus_keypoints(flip_test, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    picture = torch.randint(0, 256, (3, 240, 320), dtype=torch.uint8)
    boxes = [(10.0 + 20 * k, 20.0, 60.0 + k, 150.0) for k in range(5)]
    options = {"batch_size": 2, "flip_test": flip_test, "executor": "reference"}
    found, want = (
        PoseEstimator("hrnet_w18_small.pose_coco_256x192", device=device, **options)(picture, boxes)
        for device in ("cuda", "cpu")
    )
    near = torch.cat([(a.keypoints - b.keypoints).abs().amax(1) < 0.5 for a, b in zip(found, want, strict=True)])
    assert near.float().mean() > 0.9  # random weights give flat heatmaps, where rounding may decide a few peaks


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
@pytest.mark.parametrize("method", ["quarter", "dark", "udp"])
def test_a_spot_is_found_where_the_cpu_finds_it(method, box):
    picture = spot(box[0] + 0.61 * box[2], box[1] + 0.43 * box[3])
    ours, theirs = seeing(method), seeing(method)
    ours.network.device = torch.device("cuda")
    found, want = (estimator(picture, [box])[0] for estimator in (ours, theirs))
    assert found.keypoints.device.type == "cpu"
    assert (found.keypoints - want.keypoints).abs().max() < 0.1  # crops differ by a grey level here and there
