"""Shapes that planning finds without torch are torch's, and no plan of ours needs torch's slow imports."""

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

from hrnet_fast.plan.tracing.shapes import result_without_call

X, PAIR, LEFT, RIGHT = torch.randn(2, 6, 9, 7), torch.randn(4, 6), torch.randn(2, 1, 5, 6), torch.randn(3, 6, 8)
KNOWN = [
    ("Tensor.mean", torch.Tensor.mean, (X,), {}),
    ("Tensor.mean", torch.Tensor.mean, (X, (2, 3)), {}),
    ("torch.mean", torch.mean, (X,), {"dim": [-1, 2], "keepdim": True}),
    ("Tensor.sum", torch.Tensor.sum, (X, -3), {}),
    ("functional.softmax", F.softmax, (PAIR,), {"dim": 1, "_stacklevel": 5}),
    ("Tensor.softmax", torch.Tensor.softmax, (X, -2), {}),
    ("torch.matmul", torch.matmul, (LEFT, RIGHT), {}),
    ("functional.linear", F.linear, (LEFT, PAIR, PAIR[:, 0]), {}),
    ("functional.linear", F.linear, (PAIR[0], PAIR), {"bias": None}),
    ("torch.cat", torch.cat, ((PAIR, PAIR[:3]),), {}),
    ("torch.cat", torch.cat, ([X, X[:, :, :2]],), {"dim": -2}),
    ("Tensor.mul", torch.mul, (X, 0.5), {}),
    ("Tensor.__rmul__", torch.Tensor.__rmul__, (X, 2), {}),
    ("torch.sub", torch.sub, (LEFT, X[:1, :, :5, :1]), {}),
    ("torch.div", torch.div, (PAIR[:1], LEFT), {}),
    ("functional.avg_pool2d", F.avg_pool2d, (X, 2), {}),
    ("functional.avg_pool2d", F.avg_pool2d, (X, (3, 2), 2, (1, 0), False, True, None), {}),
    ("functional.max_pool2d", F.max_pool2d, (X, 3), {"stride": 1, "padding": 1, "return_indices": False}),
    ("functional.max_pool2d", F.max_pool2d, (X, 1, ()), {}),
    ("functional.adaptive_avg_pool2d", F.adaptive_avg_pool2d, (X, (1, 3)), {}),
]  # fmt: skip
KNOWN += [
    ("torch.sigmoid", torch.sigmoid, (X,), {}),
    ("torch.neg", torch.neg, (X,), {}),
    ("torch.clamp", torch.clamp, (X,), {"min": 0, "max": 1.5}),
    ("torch.add", torch.add, (LEFT, X[:1, :, :5, :1]), {}),
    ("Tensor.__rsub__", torch.Tensor.__rsub__, (X, 1), {}),
    ("torch.pow", torch.pow, (X, 2), {}),
    ("torch.maximum", torch.maximum, (X, X[:, :1]), {}),
    ("torch.amax", torch.amax, (X, 1, True), {}),
    ("torch.narrow", torch.narrow, (X, -3, 4, 2), {}),
    ("functional.gelu", F.gelu, (X,), {"approximate": "tanh"}),
    ("functional.silu", F.silu, (X,), {}),
    ("functional.normalize", F.normalize, (X,), {"dim": 1}),
    ("functional.log_softmax", F.log_softmax, (X,), {"dim": 1}),
    ("functional.interpolate", F.interpolate, (X,), {"scale_factor": 1.3, "mode": "bicubic"}),
    ("functional.interpolate", F.interpolate, (X,), {"scale_factor": (0.7, 2), "recompute_scale_factor": True}),
    ("functional.interpolate", F.interpolate, (X, (4, 11)), {"mode": "bilinear", "antialias": True}),
    ("functional.adaptive_max_pool2d", F.adaptive_max_pool2d, (X, (3, 1)), {"return_indices": False}),
    ("functional.layer_norm", F.layer_norm, (X, (9, 7)), {"eps": 1e-6}),
    ("functional.group_norm", F.group_norm, (X, 3), {}),
    ("torch.prelu", torch.prelu, (X, PAIR[0]), {}),
    ("torch.argmax", torch.argmax, (X,), {}),
    ("torch.argmin", torch.argmin, (X, -3, True), {}),
    ("torch.argmax", torch.argmax, (X,), {"dim": 1}),
    ("torch.gt", torch.gt, (X, X[:, :1]), {}),
    ("torch.ne", torch.ne, (X, 0.5), {}),
]  # fmt: skip
ASKED = [  # of torch: what is not known, or wrong
    ("Tensor.mean", torch.Tensor.mean, (X, 4), {}),
    ("Tensor.mean", torch.Tensor.mean, (X, (1, -3)), {}),
    ("Tensor.mean", torch.Tensor.mean, (X.int(),), {}),
    ("Tensor.mean", torch.Tensor.mean, (X,), {"dtype": torch.float64}),
    ("Tensor.softmax", torch.Tensor.softmax, (X, 4), {}),
    ("Tensor.softmax", torch.Tensor.softmax, (X, 1, torch.float64), {}),
    ("torch.add", torch.add, (X, 2, X[:1]), {}),
    ("torch.mul", torch.mul, (X, X.double()), {}),
    ("torch.mul", torch.mul, (X, 1j), {}),
    ("torch.mul", torch.mul, (X, PAIR), {}),
    ("torch.matmul", torch.matmul, (LEFT, PAIR), {}),
    ("torch.matmul", torch.matmul, (X, X.transpose(2, 3)[[0, 0, 0]]), {}),
    ("torch.matmul", torch.matmul, (PAIR, PAIR[0]), {}),
    ("functional.linear", F.linear, (X, PAIR), {}),
    ("functional.linear", F.linear, (LEFT, PAIR, PAIR[0]), {}),
    ("torch.cat", torch.cat, ((X, PAIR),), {}),
    ("torch.cat", torch.cat, ((X, X[:, :2]),), {}),
    ("functional.avg_pool2d", F.avg_pool2d, (X, 2), {"ceil_mode": True}),
    ("functional.avg_pool2d", F.avg_pool2d, (X, 12), {}),
    ("functional.max_pool2d", F.max_pool2d, (X, 3, 1, 2), {}),
    ("functional.max_pool2d", F.max_pool2d, (X, 2), {"dilation": 2}),
    ("functional.max_pool2d", F.max_pool2d, (X, 2), {"return_indices": True}),
    ("functional.adaptive_avg_pool2d", F.adaptive_avg_pool2d, (X, (None, 1)), {}),
    ("torch.flatten", torch.flatten, (X,), {}),
    ("torch.clamp", torch.clamp, (X, X), {}),
    ("torch.narrow", torch.narrow, (X, 1, 4, 3), {}),
    ("functional.interpolate", F.interpolate, (X,), {}),
    ("functional.interpolate", F.interpolate, (PAIR[None], 2), {}),
    ("functional.adaptive_max_pool2d", F.adaptive_max_pool2d, (X, 1, True), {}),
    ("functional.layer_norm", F.layer_norm, (X, (6,)), {}),
    ("functional.group_norm", F.group_norm, (X, 4), {}),
    ("torch.prelu", torch.prelu, (X, PAIR[0, :5]), {}),
    ("torch.argmax", torch.argmax, (X, 4), {}),
    ("torch.argmax", torch.argmax, (X, (1, 2)), {}),
    ("torch.argmax", torch.argmax, (X.int(), 1), {}),
    ("torch.eq", torch.eq, (X, X.double()), {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "function", "args", "kwargs"), KNOWN)
def test_known_shapes_are_torchs(name, function, args, kwargs):
    expected = function(*args, **kwargs)
    result = result_without_call(name, args, kwargs)
    assert (result.shape, result.dtype, result.device.type) == (expected.shape, expected.dtype, "meta")


@pytest.mark.parametrize(("name", "function", "args", "kwargs"), ASKED)
def test_others_are_left_to_torch(name, function, args, kwargs):
    assert result_without_call(name, args, kwargs) is None


@pytest.mark.parametrize(
    "model", ["pose_coco_256x192", "cls_in1k", "seg_ocr_cityscapes", "landmark_wflw", "det_coco", "features"]
)
def test_planning_imports_nothing_slow(model):
    lines = [
        "import sys, torch, hrnet_fast",
        "from hrnet_fast.plan import make_plan",
        f"model = hrnet_fast.create_model('hrnet_w18_small.{model}').eval()",
        "make_plan(model, torch.empty(1, 3, 64, 64, device='meta'))",
        "sys.exit('sympy' in sys.modules)",
    ]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)


def test_planning_the_functions_of_heads_imports_nothing_slow():
    lines = [
        "import sys, torch",
        "from hrnet_fast.plan import make_plan",
        "from tests.plan.function_cases import FUNCTIONS",
        "from tests.plan.small import Net",
        "for name, function in FUNCTIONS.items():",
        "    if name != 'lines':  # whose shape torch is asked for",
        "        make_plan(Net(lambda net, x: function(net.c(x))).eval(), torch.empty(1, 3, 9, 7, device='meta'))",
        "        assert 'sympy' not in sys.modules, name",
    ]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)
