"""Forwards that end in labels, masks and places, or go through them: what every executor gives is plain torch's."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils import _pytree as pytree

from hrnet_fast import explain, optimize, verify
from hrnet_fast.engine.executors import native
from hrnet_fast.weights.random import fill_weights
from tests.engine.test_functions import EXECUTORS

SIZES = [(1, 17, 13), (3, 22, 9)]


class Branches(nn.Module):
    """Two branches that exchange maps, as in HRNet, and a head that a test writes."""

    def __init__(self, head, classes=5):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8)
        self.high, self.down = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 16, 3, 2, 1)
        self.low = nn.Conv2d(16, 8, 1)
        self.last, self.after = nn.Conv2d(8, classes, 1), nn.Conv2d(classes, classes, 3, padding=1)
        self.head = head

    def forward(self, x):
        x = F.relu(self.norm(self.stem(x)))
        low = F.interpolate(self.low(F.relu(self.down(x))), x.shape[2:], mode="bilinear")
        return self.head(self, self.last(F.relu(self.high(x) + low)))


def positions(net, y):
    """Keypoints from heatmaps, as by the official decoding."""
    n, k, _, w = y.shape
    score, index = y.flatten(2).max(2)
    points = torch.zeros(n, k, 2, dtype=y.dtype, device=y.device)
    points[..., 0] = index % w
    points[..., 1] = torch.div(index, w, rounding_mode="floor")
    return {"points": points * (score > 0)[..., None], "score": score}


def peaks(net, y):
    """The largest numbers that no neighbour exceeds, as CenterNet and HigherHRNet find them."""
    y = y * (F.max_pool2d(y, 3, 1, 1) == y)
    score, index = torch.topk(y.flatten(1), 4)
    classes = index // (y.shape[2] * y.shape[3])
    return score, index, classes.int(), score.sort(dim=1, descending=False).values


def masked_attention(net, y):
    tokens = y.flatten(2).transpose(1, 2)
    ignored = (tokens.mean(-1) < -9)[:, None] | torch.ones(2 * (tokens.shape[1],), dtype=torch.bool).triu(1)
    return F.scaled_dot_product_attention(tokens, tokens, tokens, attn_mask=~ignored)


def inside_a_circle(net, y):
    rows, columns = torch.meshgrid(*(torch.arange(side, device=y.device) for side in y.shape[2:]), indexing="ij")
    circle = (rows - 4) ** 2 + (columns - 3) ** 2 < 9
    return y * circle, torch.where(circle, y, y.mean()), circle & (y > 0)


def written_masks(net, y):
    both = y > 0
    both &= y < 1
    labels = y.argmax(1)
    labels += 1
    labels[labels == 2] = 255
    labels[:, 0] = 7
    heat = y.clone()
    heat[heat < 0.1] = 0
    return both, labels, labels.byte(), net.after(heat)


def ignored(net, y):
    probability, labels = y.softmax(1).max(1)
    return torch.where(probability > 0.3, labels, 255), labels.masked_fill(probability < 0.3, -1)


HEADS = {
    "labels": lambda net, y: y.argmax(1),
    "logits and labels": lambda net, y: {"logits": y, "labels": y.argmax(1, keepdim=True), "aux": None},
    "bytes": lambda net, y: F.interpolate(y, scale_factor=2, mode="bilinear").argmax(1).to(torch.uint8),
    "max": lambda net, y: torch.max(y, 1),
    "indices alone": lambda net, y: y.min(1, keepdim=True).indices,
    "topk": lambda net, y: y.topk(3, 1),
    "sort": lambda net, y: y.sort(1, descending=True),
    "threshold": lambda net, y: y.sigmoid() > 0.5,
    "logic": lambda net, y: (y > 0) & ~(y >= 1) | torch.isnan(y) | y.isinf().logical_xor(y != y),
    "where": lambda net, y: torch.where(y > 0, y, net.after(y)),
    "where by method": lambda net, y: y.where(y.mean(1, keepdim=True) <= y, 0),
    "masked_fill": lambda net, y: y.masked_fill(y.abs() < 0.1, -1e4).softmax(1),
    "masked map": lambda net, y: net.after(y * (y > 0)),
    "cast masks": lambda net, y: net.after((y > 0).to(y)) + (y < 1).type_as(y),
    "cast numbers": lambda net, y: ((100 * y).long(), (y * 9).round().clamp(-9, 9).to(torch.int8), (y > 0).bool()),
    "one hot": lambda net, y: net.after(F.one_hot(y.argmax(1), 5).permute(0, 3, 1, 2) * y),
    "scattered": lambda net, y: torch.zeros_like(y).scatter_(1, y.argmax(1, keepdim=True), 1.0),
    "gathered": lambda net, y: y.gather(1, y.argmax(1, keepdim=True)),
    "sorted channels": lambda net, y: net.after(y[:, y.mean((0, 2, 3)).argsort()]),
    "counts": lambda net, y: ((y > 0).sum((2, 3)), (y > 0).any(1), (y > -9).all(), (y > 0).cumsum(2)),
    "shapes of labels": lambda net, y: y.argmax(1)[:, None].expand(-1, 2, -1, -1).flatten(1).unsqueeze(-1),
    "joined masks": lambda net, y: (torch.cat([y > 0, y < 0], 1), net.after(torch.cat([y > 0, y], 1)[:, 3:8])),
    "shuffled labels": lambda net, y: F.pixel_shuffle((9 * y[:, :4]).long(), 2),
    "arithmetic": lambda net, y: (y.argmax(1) + y.argmin(1), y.argmax(1) + 0, (y > 0) + (y > 1), 3 - y.argmax(1)),
    "of numbers alone": lambda net, y: (y.argmax(1) == torch.zeros_like(y[:, 0]), y > torch.arange(5)[:, None, None]),
    "twice": lambda net, y: [y.argmax(1)] * 2 + [y.argmax(1).clone().detach()],
    "compared with None": lambda net, y: y > 0 if y != None else None,  # noqa: E711
    "pooled and back": lambda net, y: F.max_unpool2d(*F.max_pool2d(y, 2, return_indices=True), 2, output_size=y.shape),
    "places in pools": lambda net, y: F.adaptive_max_pool2d(y, (2, 3), return_indices=True),
    "medians": lambda net, y: (y.median(1), y.flatten(1).kthvalue(3, keepdim=True), y - y.median(), y.argmax(1).mode()),
    "extremes": lambda net, y: (y - y.aminmax().min, y.aminmax(dim=1), torch.var_mean(y, 1), y.cummax(1)),
    "compared by other names": lambda net, y: (y.greater(0), torch.less_equal(y, 1), y.isclose(y), y.not_equal(0)),
    "positions": positions,
    "peaks": peaks,
    "masked attention": masked_attention,
    "inside a circle": inside_a_circle,
    "written masks": written_masks,
    "ignored": ignored,
}  # fmt: skip


def assert_as_plain(net, fast, x):
    """Nested as the plain module's results, with their shapes and dtypes, and right."""
    with torch.no_grad():
        given, expected = fast(x), net(x.clone())
    assert pytree.tree_structure(given) == pytree.tree_structure(expected)
    for result, plain in zip(pytree.tree_leaves(given), pytree.tree_leaves(expected)):
        assert result is plain is None or (result.shape == plain.shape and result.dtype == plain.dtype)
    report = verify(net, fast, x, levels=True)
    assert report.passed, str(report)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_heads_in_float32(head, executor):
    net = fill_weights(Branches(head)).eval()
    for n, h, w in SIZES:
        x = torch.randn(n, 3, h, w, generator=torch.Generator().manual_seed(h))
        assert_as_plain(net, optimize(net, executor=executor, example=x), x)


# Heads in whose floating-point results a rounding that changes a label does not show: there, chance would decide.
SMOOTH = [
    "labels", "logits and labels", "bytes", "max", "indices alone", "topk", "sort", "threshold", "logic", "masked map",
    "cast numbers", "counts", "shapes of labels", "shuffled labels", "arithmetic", "of numbers alone", "twice",
    "inside a circle", "masked attention", "ignored",
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "dtype"), [*((name, torch.float64) for name in HEADS), *((name, torch.bfloat16) for name in SMOOTH)]
)
def test_heads_in_other_dtypes(name, dtype):
    net = fill_weights(Branches(HEADS[name])).eval().to(dtype)
    x = torch.randn(2, 3, 22, 9, generator=torch.Generator().manual_seed(1)).to(dtype)
    assert_as_plain(net, optimize(net, example=x), x)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_labels_keep_their_dtype_whatever_the_input_s(executor):
    net = fill_weights(Branches(HEADS["logits and labels"])).eval()
    x = torch.randn(2, 3, 22, 9)
    fast = optimize(net, executor=executor, example=x)
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        result = fast(x.to(dtype))
        assert result["logits"].dtype == dtype and result["labels"].dtype == torch.int64
    assert fast(x[:0])["labels"].dtype == torch.int64
    assert fast(x.double().requires_grad_())["labels"].dtype == torch.int64
    last = fast(x.contiguous(memory_format=torch.channels_last))["labels"]
    assert last.is_contiguous() and torch.equal(last, fast(x)["labels"])


@pytest.mark.parametrize("executor", EXECUTORS)
def test_results_are_the_callers_own(executor):
    net, x = fill_weights(Branches(lambda net, y: (y > 0, y.argmax(1)))).eval(), torch.randn(2, 3, 22, 9)
    fast = optimize(net, executor=executor, example=x)
    first = fast(x)
    kept = [y.clone() for y in first]
    for y in first:
        y.fill_(1)
    assert all(map(torch.equal, fast(x), kept)) and not any(map(torch.equal, fast(-x), kept))


@pytest.mark.skipif(bool(native.unsupported()), reason="the native kernels are not there")
def test_native_programs_keep_no_labels_between_calls():
    net, x = fill_weights(Branches(HEADS["labels"])).eval(), torch.randn(2, 3, 22, 9)
    fast = optimize(net, executor="native", example=x)
    fast(x)
    (buffers,) = fast.program_for(x).run.__self__.pool.free
    assert all(view.dtype == torch.float32 for view in buffers.views.values())


def test_explain_says_what_is_of_another_dtype():
    net = Branches(HEADS["max"]).eval()
    assert "Branches: 1x3x32x32 -> 1x16x16, 1x16x16 int64\n" in str(explain(net, (1, 3, 32, 32)))


@pytest.mark.parametrize(("off", "passes"), [(0, True), (1e-6, True), (1e-2, False)])
def test_verify_counts_the_labels_that_differ(off, passes):
    net, x = fill_weights(Branches(HEADS["labels"])).eval(), torch.randn(2, 3, 64, 64)
    other = Branches(HEADS["labels"]).eval()
    other.load_state_dict(net.state_dict())
    with torch.no_grad():
        other.last.bias[0] += off
    report = verify(net, optimize(other, example=x), x)
    (found,) = report.outputs
    assert report.passed == passes and found.labels == 2048
    assert f"{round(found.error * 2048)} of 2048 differ" in str(report)
    assert found.error < 0.5


def test_verify_plays_forwards_that_make_float32_numbers():
    """Which torch itself refuses in another dtype: its reference then makes them in that one."""
    net = fill_weights(Branches(lambda net, y: net.after((y > 0).float()) * torch.where(y > 1, 1.0, 0.5))).eval()
    x = torch.randn(2, 3, 22, 9)
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        report = verify(net, optimize(net, dtype=dtype, example=x), x)
        assert report.passed, str(report)


def official_positions(net, y):
    """Indices are taken apart in float32, as in the official repository: bfloat16 would lose them."""
    index = y.flatten(2).argmax(2)
    points = index.float()
    points = torch.stack([points % y.shape[3], torch.floor(points / y.shape[3])], -1)
    return y, index, points, index.type(torch.int32) / 2


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("weights", [torch.float32, torch.bfloat16])
def test_numbers_made_of_labels_keep_their_precision(weights, executor):
    net, x = fill_weights(Branches(official_positions)).eval().to(weights), torch.randn(2, 3, 170, 130).bfloat16()
    y, index, points, halves = optimize(net, dtype=torch.bfloat16, executor=executor, example=x)(x)
    assert (y.dtype, points.dtype, halves.dtype) == (torch.bfloat16, torch.float32, torch.float32)
    assert index.max() > 256 and torch.equal(2 * halves, index.float())
    assert torch.equal(points[..., 1] * y.shape[3] + points[..., 0], index.float())
