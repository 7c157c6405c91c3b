"""optimize: a drop-in that computes what the plain module computes."""

import copy
import io
import pickle
import threading
import warnings
from types import SimpleNamespace

import pytest
import timm
import torch
from torch import nn
from torch.autograd import forward_ad
from torch.testing._internal.two_tensor import TwoTensor

import hrnet_fast
from hrnet_fast import create_model, explain, load_weights, optimize, save_weights, verify
from hrnet_fast.engine import op, prepared, versions
from hrnet_fast.engine.executors.onednn import OneDnnExecutor, has_instructions
from hrnet_fast.models import BasicBlock, HighResolutionModule
from hrnet_fast.numerics import relative_l2
from hrnet_fast.plan import PlanError
from tests.golden import fill
from tests.models.test_models import OPTIONS
from tests.networks import SMALL, small_net
from tests.plan.origins import ForeignModule

DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64]
HEADS = ["pose_coco_256x192", "pose_v1h_coco_256x192", "pose_higher_coco_512x512", "seg_cityscapes", "seg_ocr_lip",
         "landmark_wflw", "cls_in1k", "det_coco", "features"]  # fmt: skip


class Bilinear(nn.Bilinear):
    """Of one map with itself: an operation that the planner does not know."""

    def __init__(self):
        super().__init__(256, 256, 1)

    def forward(self, x):
        return super().forward(x, x)


@pytest.fixture(scope="module")
def pose():
    return small_net()


@pytest.mark.parametrize("tag", HEADS)
def test_every_head_by_onednn(tag):
    model = small_net(tag)
    report = verify(model, optimize(model, executor="onednn"), torch.randn(2, 3, 96, 64))
    assert report.passed, str(report)


@pytest.mark.parametrize("tag", HEADS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_head_in_every_dtype(tag, dtype):
    model = small_net(tag)
    report = verify(model, optimize(model, dtype=dtype), torch.randn(1, 3, 64, 96))
    assert report.passed, str(report)


@pytest.fixture(scope="module", params=[18, 30, 44])
def wide(request):
    model = fill(create_model(f"hrnet_w{request.param}.features"))
    return model, optimize(model)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_widths_that_fit_no_vector(wide, batch):
    report = verify(*wide, torch.randn(batch, 3, 64, 32))
    assert report.passed, str(report)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(f"{k}={v}" for k, v in o.items()))
def test_every_option(options):
    model = small_net(**options)
    report = verify(model, optimize(model), torch.randn(1, 3, 64, 64))
    assert report.passed, str(report)


@pytest.mark.parametrize("size", [(65, 97), (33, 35), (17, 64)])
@pytest.mark.parametrize("align_corners", [False, True])
def test_odd_sizes_of_bilinear_models(size, align_corners):
    model = small_net("seg_lip", align_corners=align_corners)
    report = verify(model, optimize(model), torch.randn(1, 3, *size))
    assert report.passed, str(report)


NO_FLOAT16 = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available() or not has_instructions(torch.float16),
    reason="oneDNN has no float16 convolutions for this CPU",
)


@pytest.mark.parametrize("compute", [torch.bfloat16, pytest.param(torch.float16, marks=NO_FLOAT16)], ids=str)
def test_native_half_precision_convolutions(compute):
    """What a machine with AMX runs: oneDNN in the dtype itself."""
    model = small_net()
    fast = optimize(model, dtype=compute)
    fast._prepared.executor = OneDnnExecutor(fast.executor.tensors, compute)
    fast._prepared.programs.clear()
    report = verify(model, fast, torch.randn(2, 3, 64, 64))
    assert report.passed, str(report)


@pytest.mark.parametrize("executor", ["auto", "onednn", "reference"])
def test_timm_goes_through_unchanged(executor):
    model = fill(timm.create_model(SMALL))
    report = verify(model, optimize(model, executor=executor), torch.randn(1, 3, 64, 64))
    assert report.passed, str(report)


@pytest.mark.parametrize("manner", ["pose", "segmentation", "openmmlab"])
def test_one_module_of_another_code_base(manner):
    module = fill(ForeignModule([6, 12, 24], manner))
    fast = optimize(module)
    maps = [torch.randn(1, 6 << b, 16 >> b, 24 >> b) for b in range(3)]
    given = list(maps)
    assert verify(module, fast, maps).passed
    assert isinstance(fast(given), list)
    assert all(a is b for a, b in zip(given, maps))


def test_module_inside_a_users_model(pose):
    class Mine(nn.Module):
        def __init__(self):
            super().__init__()
            self.stage = HighResolutionModule(2, BasicBlock, [1, 1], [8, 16], [8, 16], "SUM")

    mine = fill(Mine()).eval()
    keys = list(mine.state_dict())
    maps = [torch.randn(1, 8, 8, 8), torch.randn(1, 16, 4, 4)]
    with torch.no_grad():
        before = mine.stage(maps)
        mine.stage = optimize(mine.stage)
        after = mine.stage(maps)
    assert list(mine.state_dict()) == keys
    mine.load_state_dict(mine.state_dict())
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(before, after))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
def test_results_come_in_the_inputs_dtype_and_layout(pose, dtype, layout):
    x = torch.randn(2, 3, 64, 96).to(dtype).contiguous(memory_format=layout)
    y = optimize(pose)(x)
    assert (y.dtype, y.shape) == (dtype, (2, 17, 16, 24))
    assert y.is_contiguous(memory_format=layout)


def test_any_strides_in(pose):
    fast = optimize(pose)
    big = torch.randn(4, 6, 70, 100)
    sliced = big[1:3, ::2, 3:67, 2:98]
    kept = big.clone()
    assert torch.equal(fast(sliced), fast(sliced.contiguous()))
    assert torch.equal(fast(sliced.expand(2, 3, 64, 96)), fast(sliced.contiguous()))
    assert torch.equal(big, kept)


def test_results_belong_to_the_caller(pose):
    fast = optimize(pose)
    x = torch.randn(1, 3, 64, 64)
    first = fast(x)
    kept = first.clone()
    fast(torch.randn(1, 3, 64, 64))
    assert torch.equal(first, kept)
    first.add_(1)  # an ordinary tensor, not one of inference mode
    assert torch.equal(fast(x), kept)


def test_the_original_is_untouched(pose):
    before = {key: (tensor.data_ptr(), tensor._version) for key, tensor in pose.state_dict().items()}
    pose.train()
    fast = optimize(pose, dtype=torch.bfloat16)
    fast(torch.randn(1, 3, 64, 64))
    assert pose.training and all(m.training for m in pose.modules())
    assert {key: (tensor.data_ptr(), tensor._version) for key, tensor in pose.state_dict().items()} == before
    assert not any(isinstance(m, hrnet_fast.OptimizedModule) for m in pose.modules())
    assert len(list(pose.modules())) == len(list(create_model(f"{SMALL}.pose_coco_256x192").modules()))


def test_a_buffer_that_no_state_dict_holds_stays_out():
    model = nn.Sequential(nn.Conv2d(3, 4, 3))
    model.register_buffer("grid", torch.ones(1), persistent=False)
    fast = optimize(model)
    assert list(fast.state_dict()) == list(model.state_dict()) == ["0.weight", "0.bias"]
    fast.register_buffer("other", torch.ones(1), persistent=False)
    assert "other" not in model.state_dict()


def test_keys_and_attributes_are_the_originals(pose):
    fast = optimize(pose)
    assert list(fast.state_dict()) == list(pose.state_dict())
    assert fast.original is pose
    assert fast.conv1 is pose.conv1
    assert [name for name, _ in fast.named_parameters()] == [name for name, _ in pose.named_parameters()]
    assert fast.state_dict()["conv1.weight"].data_ptr() == pose.conv1.weight.data_ptr()


def test_optimizing_twice_is_optimizing_once(pose):
    assert optimize(optimize(pose)).original is pose


@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.compile], ids=["DataParallel", "torch.compile"])
def test_wrappers_are_looked_through(pose, wrap):
    assert optimize(wrap(pose)).original is pose


def test_a_new_shape_is_planned_once(pose, monkeypatch):
    fast = optimize(pose)
    calls = []
    make_plan = prepared.make_plan
    monkeypatch.setattr(prepared, "make_plan", lambda *a: calls.append(a) or make_plan(*a))
    for size in (64, 96, 64, 96):
        assert fast(torch.randn(1, 3, size, size)).shape[-1] == size // 4
    assert len(calls) == 2


def test_plans_are_bounded(pose, monkeypatch):
    fast = optimize(pose)
    monkeypatch.setattr(fast.executor, "max_plans", 2)
    for size in (32, 64, 96, 128):
        fast(torch.randn(1, 3, size, size))
    assert len(fast._prepared.programs) == 2


def test_threads_share_one_module(pose):
    fast = optimize(pose)
    inputs = [torch.randn(1, 3, 32 * (1 + i % 3), 64) for i in range(12)]
    expected = [fast(x) for x in inputs]
    fresh = optimize(pose)
    results = [None] * len(inputs)

    def work(i):
        results[i] = fresh(inputs[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(inputs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(a, b) for a, b in zip(results, expected))


@pytest.mark.parametrize("how", ["pickle", "deepcopy", "torch.save"])
def test_copies_compute_the_same(pose, how):
    fast = optimize(pose, dtype=torch.bfloat16)
    x = torch.randn(1, 3, 64, 64)
    expected = fast(x)
    if how == "pickle":
        copied = pickle.loads(pickle.dumps(fast))
    elif how == "deepcopy":
        copied = copy.deepcopy(fast)
    else:
        file = io.BytesIO()
        torch.save(fast, file)
        file.seek(0)
        copied = torch.load(file, weights_only=False)
    assert copied.original is not pose
    assert torch.equal(copied(x), expected)
    assert copied.dtype == torch.bfloat16


def test_changed_weights_are_noticed_and_taken():
    model = small_net()
    fast = optimize(model)
    x = torch.randn(1, 3, 64, 64)
    fast(x)
    with torch.no_grad():
        model.final_layer.bias.add_(1.0)
    with pytest.raises(RuntimeError, match=r"changed after optimize\(\).* refresh\(\)"):
        fast(x)
    fast.refresh()
    assert verify(model, fast, x).passed
    state = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    state["final_layer.bias"] -= 1.0
    fast.load_state_dict(state)
    assert torch.equal(model.final_layer.bias, state["final_layer.bias"]) and verify(model, fast, x).passed


def test_conversion_moves_the_weights_along():
    fast = optimize(small_net())
    fast.double()
    assert fast.dtype == torch.float64
    assert verify(fast.original, fast, torch.randn(1, 3, 64, 64)).passed


def test_gradients_take_the_original_and_say_so(pose, monkeypatch):
    monkeypatch.setattr(op, "_warned", False)
    fast = optimize(pose.eval())
    x = torch.randn(1, 3, 64, 64, requires_grad=True)
    with pytest.warns(UserWarning, match="the original module runs instead") as warned:
        y = fast(x)
    assert warned[0].filename == __file__
    y.sum().backward()
    assert x.grad.abs().sum() > 0
    assert torch.equal(y, pose(x)) and verify(pose, fast, x.detach()).passed


def test_gradients_are_those_of_evaluation_mode_and_train_nothing():
    pose = small_net()
    fast = optimize(pose.train())
    exact = copy.deepcopy(pose).eval()
    x = torch.randn(2, 3, 64, 64)
    before = pose.bn1.running_mean.clone()
    assert torch.equal(fast(x.clone().requires_grad_()), exact(x))
    assert torch.equal(pose.bn1.running_mean, before) and relative_l2(fast(x), exact(x)) < 1e-5


def test_the_original_runs_in_evaluation_mode_also_if_it_was_put_into_training_since():
    pose = small_net().eval()
    fast = optimize(pose)
    exact, x = copy.deepcopy(pose), torch.randn(2, 3, 64, 64)
    before = pose.bn1.running_mean.clone()
    nn.ModuleDict({"backbone": fast}).train()
    assert pose.training and torch.equal(fast(x.clone().requires_grad_()), exact(x))
    assert torch.equal(pose.bn1.running_mean, before) and relative_l2(fast(x), exact(x)) < 1e-5


def test_who_puts_it_into_training_with_weights_to_train_is_told():
    parent = nn.ModuleDict({"backbone": optimize(small_net().eval()), "head": nn.Conv2d(17, 5, 1)})
    with pytest.warns(UserWarning, match="an optimized network is not trained.*requires_grad_"):
        parent.train()
    parent.eval()
    parent["backbone"].requires_grad_(False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parent.train()


def test_an_example_and_what_is_verified_may_be_shapes(pose):
    fast = optimize(pose, example=(1, 3, 64, 64))
    assert verify(pose, fast, (2, 3, 64, 64)).passed
    with pytest.raises(TypeError, match="inputs must be tensors, or lists of them, not ndarray"):
        verify(pose, fast, torch.randn(1, 3, 64, 64).numpy())


def test_torchs_own_signatures_are_not_part_of_an_error():
    with pytest.raises(PlanError, match=r"conv2d\(\) received an invalid combination of arguments - got \(list.*\)$"):
        optimize(nn.Conv2d(3, 8, 3))([torch.randn(1, 3, 64, 64)])


def test_the_original_runs_with_the_tensors_that_it_has_by_then():
    pose = small_net().train()
    fast, x = optimize(pose), torch.randn(1, 3, 64, 64)
    pose.conv1.weight = nn.Parameter(2 * pose.conv1.weight.detach())
    assert torch.equal(fast(x.clone().requires_grad_()), copy.deepcopy(pose).eval()(x))


@pytest.mark.parametrize(
    "transform",
    [
        lambda f, x: torch.func.jvp(f, (x,), (torch.ones_like(x),))[1],
        lambda f, x: torch.vmap(f)(x[None]),
        lambda f, x: torch.func.grad(lambda x: f(x).sum())(x),
        lambda f, x: forward_tangent(f, x),
    ],
    ids=["jvp", "vmap", "grad", "forward"],
)
def test_transforms_of_the_call_are_the_originals(transform):
    pose = small_net()
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(transform(optimize(pose.eval()), x), transform(pose, x))


def forward_tangent(f, x):
    with forward_ad.dual_level():
        return forward_ad.unpack_dual(f(forward_ad.make_dual(x, torch.ones_like(x)))).tangent


def replace_parameter(m):
    m.conv1.weight = nn.Parameter(m.conv1.weight * 2)


def replace_module(m):
    m.final_layer = nn.Conv2d(16, 17, 1)


def replace_data(m):
    m.conv1.weight.data = m.conv1.weight * 2


def assign_state(m):
    m.load_state_dict({key: value.clone() for key, value in m.state_dict().items()}, assign=True)


def run_in_training(m):
    m.train()(torch.randn(2, 3, 64, 64))
    m.eval()


def swap_tensors(m):
    torch.utils.swap_tensors(m.bn1.running_var, m.bn1.running_var * 2)


CHANGES = [replace_parameter, replace_module, replace_data, assign_state, run_in_training, swap_tensors]


@pytest.mark.parametrize("native", [True, False], ids=["compiled", "python"])
@pytest.mark.parametrize("change", CHANGES)
def test_weights_that_are_replaced_are_told_of(change, native, monkeypatch):
    pose = small_net()
    if not native:
        monkeypatch.setattr(versions.kernels, "extension", lambda: SimpleNamespace(module=None))
    fast = optimize(pose.eval(), executor="reference")
    x = torch.randn(1, 3, 64, 64)
    fast(x)
    with torch.no_grad():
        change(pose)
    for size in (64, 96):  # of a plan that was there, and of one that is not
        with pytest.raises(RuntimeError, match="call its refresh"):
            fast(torch.randn(1, 3, size, size))
    fast.refresh()
    assert relative_l2(fast(x), pose(x)) < 1e-5


def test_weights_that_took_the_place_of_those_without_values_are_told_of():
    """As Transformers' from_pretrained gives them to a model that was made on the meta device."""
    with torch.device("meta"):
        pose = create_model(f"{SMALL}.pose_coco_256x192").eval()
    fast, x = optimize(pose), torch.randn(1, 3, 64, 64)
    with pytest.raises(ValueError, match="the input is on cpu, but the network is on meta"):
        fast(x)
    pose.load_state_dict(small_net().state_dict(), assign=True)
    with pytest.raises(RuntimeError, match="call its refresh"):
        fast(x)
    fast.refresh()
    assert relative_l2(fast(x), pose(x)) < 1e-5


def test_a_parents_state_is_loaded_into_what_was_packed():
    pose = small_net()
    fast, other = optimize(pose.eval()), small_net().eval()
    with torch.no_grad():
        other.conv1.weight.mul_(2)
    parent, x = nn.ModuleDict({"backbone": fast}), torch.randn(1, 3, 64, 64)
    state = {f"backbone.{key}": value for key, value in other.state_dict().items()}
    for assign in (False, True):
        parent.load_state_dict(state, assign=assign)
        assert relative_l2(fast(x), other(x)) < 1e-5


class Renaming(nn.Module):
    """Takes an old name of its weights, shows them under it too, and counts who loaded it."""

    def __init__(self):
        super().__init__()
        self.conv, self.loaded = nn.Conv2d(3, 8, 3, padding=1), 0
        self.register_load_state_dict_post_hook(lambda module, keys: setattr(module, "loaded", module.loaded + 1))

    def forward(self, x):
        return self.conv(x)

    def state_dict(self, *args, **kwargs):
        state = super().state_dict(*args, **kwargs)
        state[f"{kwargs.get('prefix', '')}old.bias"] = self.conv.bias
        return state

    def _load_from_state_dict(self, state, prefix, *rest):
        if f"{prefix}old.bias" in state:
            state[f"{prefix}conv.bias"] = state.pop(f"{prefix}old.bias")
        super()._load_from_state_dict(state, prefix, *rest)


@pytest.mark.parametrize("inside", [False, True], ids=["itself", "in a parent"])
def test_it_saves_and_loads_itself_as_the_original_does(inside):
    model, other, x = Renaming(), Renaming(), torch.randn(1, 3, 8, 8)
    fast = optimize(model, example=x)
    holder, prefix = (nn.ModuleDict({"net": fast}), "net.") if inside else (fast, "")
    assert list(holder.state_dict()) == [f"{prefix}{name}" for name in ("conv.weight", "conv.bias", "old.bias")]
    state = {f"{prefix}{key}": value for key, value in other.state_dict().items()}
    del state[f"{prefix}conv.bias"]
    holder.load_state_dict(state)
    assert model.loaded == 1 and relative_l2(fast(x), other(x)) < 1e-6


def test_new_weights_while_a_shape_is_planned(monkeypatch):
    pose = small_net()
    fast, x = optimize(pose.eval()), torch.randn(1, 3, 64, 96)
    planning, changed = threading.Event(), threading.Event()
    make_plan = prepared.make_plan

    def slow(*given):
        planning.set()
        changed.wait(60)
        return make_plan(*given)

    monkeypatch.setattr(prepared, "make_plan", slow)
    errors = []

    def call():
        try:
            fast(x)
        except RuntimeError as error:
            errors.append(str(error))

    caller = threading.Thread(target=call)
    caller.start()
    planning.wait(60)
    with torch.no_grad():
        pose.conv1.weight.mul_(2)
    fast.refresh()
    changed.set()
    caller.join()
    assert "call its refresh" in errors[0]
    assert relative_l2(fast(x), pose(x)) < 1e-5


def test_weights_are_loaded_into_what_was_packed_and_saved_from_it(tmp_path):
    fast, other = optimize(small_net().eval()), small_net().eval()
    with torch.no_grad():
        other.conv1.weight.mul_(2)
    save_weights(optimize(other), tmp_path / "weights.pth")
    load_weights(fast, tmp_path / "weights.pth")
    x = torch.randn(1, 3, 64, 64)
    assert relative_l2(fast(x), other(x)) < 1e-5


def test_tensors_that_are_negated_lazily(pose):
    x = torch.view_as_complex(torch.randn(1, 3, 64, 64, 2)).conj().imag
    assert x.is_neg()
    fast = optimize(pose.eval())
    assert torch.equal(fast(x), fast(x.resolve_neg()))


def test_attributes_and_methods_are_the_originals():
    pose = small_net()
    fast = optimize(pose)
    assert fast.config is pose.config and fast.init_weights == pose.init_weights
    assert {"init_weights", "conv1", "refresh", "original"} <= set(dir(fast))
    with pytest.raises(AttributeError, match="'PoseHRNet' object has no attribute 'nothing'"):
        fast.nothing  # noqa: B018
    assert fast.train().training and pose.training and not fast.eval().training and not pose.training


def test_no_images_and_named_inputs():
    pose = small_net()
    fast = optimize(pose)
    none = fast(torch.randn(0, 3, 64, 64, dtype=torch.float64))
    assert none.shape == (0, 17, 16, 16) and none.dtype == torch.float64
    x = torch.randn(1, 3, 64, 64)
    assert torch.equal(fast(x=x), fast(x))
    with pytest.raises(TypeError, match="missing a required argument: 'x'"):
        fast(y=x)


class Moody(nn.Module):
    """Takes what OpenMMLab's models take."""

    def __init__(self):
        super().__init__()
        self.network = small_net()

    def forward(self, inputs, data_samples=None, mode="tensor", *, scale=1.0):
        return self.network(inputs) if mode == "tensor" else []


def test_named_inputs_that_a_plan_does_not_have_are_refused():
    fast, x = optimize(Moody()), torch.randn(1, 3, 64, 64)
    assert torch.equal(fast(x, data_samples=None, mode="tensor", scale=1.0), fast(x))
    for name, given in {"mode": "predict", "scale": 2.0}.items():
        with pytest.raises(TypeError, match=f"{name}= cannot be given to an optimized network"):
            fast(x, **{name: given})
    with pytest.raises(TypeError, match="inputs must be tensors, or lists of them, not str"):
        fast(x, data_samples="picture.jpg")


def test_what_is_no_module_is_refused():
    for verb in (optimize, explain):
        with pytest.raises(TypeError, match="takes an nn.Module, not int"):
            verb(3)


@pytest.mark.parametrize("dtype", ["bfloat16", torch.int8, torch.complex64])
def test_dtypes_that_are_refused(pose, dtype):
    with pytest.raises(TypeError, match="it must be one of torch.float64, torch.float32"):
        optimize(pose, dtype=dtype)


def test_verify_leaves_out_results_without_numbers():
    class Some(nn.Conv2d):
        def forward(self, x):
            y = super().forward(x)
            return y[:, :0], y

    net, x = Some(3, 4, 3), torch.randn(1, 3, 8, 8)
    report = verify(net, optimize(net, example=x), x)
    assert report.passed and [output.name for output in report.outputs] == ["output 1"]
    with pytest.raises(ValueError, match="nothing to compare"):
        verify(net, optimize(net, example=x), x[:0])


def test_verify_tells_of_results_that_are_not_finite():
    pose = small_net()
    pose.eval()
    with torch.no_grad():
        pose.final_layer.weight.fill_(3e38)
    with pytest.raises(ValueError, match="output 0: plain torch's results in float32 are not finite"):
        verify(pose, optimize(pose), torch.randn(1, 3, 64, 64))


def test_inference_mode_works(pose):
    with torch.inference_mode():
        assert optimize(pose)(torch.randn(1, 3, 64, 64)).shape == (1, 17, 16, 16)


@pytest.mark.parametrize("executor", ["auto", "onednn", "reference"])
def test_autocast_changes_nothing(executor):
    """Neither of a call nor of a shape that is planned inside of it; torch plays both layers here."""
    module, x = (
        nn.Sequential(nn.Conv2d(3, 3, 3, groups=3), nn.Flatten(), nn.Linear(48, 5)).eval(),
        torch.randn(2, 3, 6, 6),
    )
    want, fast = optimize(module, executor=executor, example=x)(x), optimize(module, executor=executor, example=x)
    fast.refresh()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(fast(x), want) and torch.equal(fast(x), want)


def test_results_do_not_depend_on_the_run_or_the_batch(pose):
    fast = optimize(pose)
    x = torch.randn(3, 3, 64, 64)
    assert torch.equal(fast(x), fast(x))
    assert verify(pose, fast, x).passed and verify(pose, fast, x[1:2]).passed


@pytest.mark.parametrize(
    ("given", "error", "sentence"),
    [
        (torch.zeros(1, 3, 64, 64, dtype=torch.uint8), TypeError, r"must be floating point: convert it, e.g. x.float"),
        (torch.tensor(1.0), ValueError, r"\(\): a batch has a dimension for its images"),
        (torch.zeros(3, 64, 64), ValueError, r"\(N, 3, H, W\), not \(3, 64, 64\)"),
        (torch.zeros(1, 1, 64, 64), ValueError, r"\(N, 3, H, W\), not \(1, 1, 64, 64\)"),
        (torch.zeros(1, 3, 100, 64), ValueError, "the next size up is 128x64"),
        (torch.zeros(1, 3, 64, 64, device="meta"), ValueError, "the input is on meta, but the network is on cpu"),
        ("image.jpg", TypeError, "inputs must be tensors, or lists of them, not str"),
    ],
    ids=["uint8", "scalar", "rank", "channels", "size", "device", "type"],
)
def test_inputs_that_are_refused(pose, given, error, sentence):
    with pytest.raises(error, match=sentence):
        optimize(pose)(given)


class Estimator(nn.Module):
    """Takes annotations too, as mmpose's models do, and None for none."""

    def __init__(self):
        super().__init__()
        self.net = small_net()

    def forward(self, inputs, data_samples, mode="tensor"):
        if data_samples is not None or mode != "tensor":
            raise ValueError("no losses here")
        return self.net(inputs)


def test_none_is_an_input_too(monkeypatch):
    net, x = Estimator().eval(), torch.randn(2, 3, 64, 96)
    fast = optimize(net, example=(x, None))
    report = verify(net, fast, x, None, levels=True)
    assert report.passed, str(report)
    want = fast(x, None)
    assert torch.equal(fast(x, data_samples=None, mode="tensor"), want)
    assert torch.equal(torch.compile(fast, backend="eager", fullgraph=True)(x, None), want)
    assert fast(x[:0], None).shape == (0, *want.shape[1:])
    monkeypatch.setattr(op, "_warned", False)
    with pytest.warns(UserWarning, match="the original"):
        assert fast(x.requires_grad_(), None).requires_grad


def test_no_input_is_refused(pose):
    with pytest.raises(TypeError, match="called without an input"):
        optimize(pose)()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize(
    "key", ["stage3.0.fuse_layers.0.1.1.weight", "conv1.weight", "final_layer.bias", "bn1.running_var"]
)
def test_weights_that_are_not_finite_are_named(key, value):
    model = small_net()
    model.state_dict()[key].view(-1)[0] = value
    with pytest.raises(ValueError, match=f"{key!r} holds NaN or Inf"):
        optimize(model)


@pytest.mark.parametrize("norm", [nn.Identity(), nn.BatchNorm2d(4)], ids=["alone", "with a norm"])
def test_weights_whose_sum_overflows_are_still_numbers(norm):
    net = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), norm).double().eval()
    with torch.no_grad():
        net[0].weight.fill_(1e307)
    x = torch.full((1, 3, 4, 4), 1e-300, dtype=torch.float64)
    assert verify(net, optimize(net, example=x), x).passed
    if isinstance(norm, nn.BatchNorm2d):
        norm.weight.data.fill_(1e3)
        with pytest.raises(ValueError, match=r"'0.weight' overflows where the norm of '1.running_var' is folded"):
            optimize(net, example=x)(x)


def test_negative_variance_is_named():
    model = small_net()
    model.bn2.running_var[3] = -1.0
    with pytest.raises(ValueError, match="'bn2.running_var' holds a negative variance"):
        optimize(model)


def test_weights_that_are_sharded_or_quantized_are_named():
    """As FSDP2's and torchao's: tensors made of others, which no kernel reads."""
    model = small_net()
    model.conv2.weight = nn.Parameter(TwoTensor(model.conv2.weight.detach(), model.conv2.weight.detach()))
    with pytest.raises(PlanError, match="'conv2.weight' is a TwoTensor, .* optimize a module of ordinary tensors"):
        optimize(model)


def test_what_optimize_refuses(pose):
    with pytest.raises(TypeError, match="optimize takes an nn.Module, not str"):
        optimize("hrnet_w32")
    names = "'auto', 'native', 'onednn', 'triton', 'cuda', 'cuda-chains', 'cudnn'"
    with pytest.raises(ValueError, match=f"executor='gpu' is not known; choose one of {names}"):
        optimize(pose, executor="gpu")
    with pytest.raises(RuntimeError, match="executor='onednn' cannot be used: oneDNN has no float64 convolutions"):
        optimize(pose, executor="onednn", dtype=torch.float64)
    with pytest.raises(PlanError, match=r"bilinear is not understood by the planner \(in Bilinear.forward of '1'\)"):
        optimize(nn.Sequential(nn.Conv2d(3, 4, 1), Bilinear()))


@pytest.mark.parametrize("channels", [1, 4])
def test_the_channels_of_the_first_input_are_those_of_the_first_convolution(channels):
    fast = optimize(timm.create_model(SMALL, in_chans=channels))
    fast.plan_for(torch.empty(1, channels, 256, 256))
    assert len(fast._prepared.programs) == 1  # known since it was optimized
    assert hrnet_fast.explain(fast).values[0].shape == (1, channels, 256, 256)


def test_a_foreign_config_may_call_anything_an_input_size():
    net = nn.Sequential(nn.Conv2d(3, 8, 3))
    net.config = SimpleNamespace(input_size=224)
    assert optimize(net)(torch.randn(1, 3, 64, 64)).shape == (1, 8, 62, 62)


def test_where_no_input_was_given_the_error_says_which_was_taken(pose):
    sentence = r"; the input was taken to be \(1, {}, 256, \d+\): give example= if it is another"
    with pytest.raises(PlanError, match="has 3 branches, but 1 maps were given" + sentence.format(16)):
        optimize(pose.stage3)
    with pytest.raises(PlanError, match=sentence.format(4)):
        hrnet_fast.explain(nn.Sequential(nn.Conv2d(4, 4, 1), Bilinear()))
    with pytest.raises(PlanError, match=r"in Bilinear.forward of '1'\)$"):
        optimize(nn.Sequential(nn.Conv2d(4, 4, 1), Bilinear()), example=torch.empty(1, 4, 8, 8))


def test_float64_is_played_by_the_reference_and_says_why(pose):
    fast = optimize(pose, dtype=torch.float64)
    level = hrnet_fast.explain(fast).levels[0]
    assert (level.executor, level.reason) == (
        "reference", "oneDNN has no float64 convolutions"
    )  # fmt: skip


def test_explain_takes_models_shapes_and_tensors(pose):
    plan = hrnet_fast.explain(pose, (2, 3, 64, 96))
    assert plan == hrnet_fast.explain(optimize(pose), torch.empty(2, 3, 64, 96))
    assert plan.values[plan.inputs[0]].shape == (2, 3, 64, 96)
    assert all(level.executor and level.reason and level.roofline_us > 0 for level in plan.levels)
    assert hrnet_fast.explain(pose).values[0].shape == (1, 3, 256, 192)


def test_verify_reports_levels_and_the_worst_element(pose):
    report = verify(pose, optimize(pose), torch.randn(1, 3, 64, 64), levels=True)
    assert report.passed and len(report.levels) == len(list(optimize(pose).plan_for(torch.empty(1, 3, 64, 64)).items()))
    assert all(level.error < 1e-5 for level in report.levels)
    assert str(report).splitlines()[-1].startswith("passed: error against float64 at most 2x torch's own in float32")


def test_verify_sees_a_wrong_number(pose):
    fast = optimize(pose)
    x = torch.randn(1, 3, 64, 64)
    forward = fast.forward

    def wrong(*inputs):
        y = forward(*inputs)
        y[0, 3, 2, 1] += 10.0
        return y

    fast.forward = wrong
    report = verify(pose, fast, x)
    assert not report.passed
    assert report.outputs[0].worst_index == (0, 3, 2, 1)
    assert "FAILED" in str(report)


def test_verify_wants_an_optimized_module(pose):
    with pytest.raises(TypeError, match=r"the second one is a PoseHRNet"):
        verify(pose, pose, torch.randn(1, 3, 64, 64))
    with pytest.raises(TypeError, match=r"the first one is a str"):
        verify(SMALL, optimize(pose), torch.randn(1, 3, 64, 64))


def test_a_submodule_may_be_called_as_an_option():
    class Named(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.exact = torch.nn.Conv2d(3, 4, 3)

        def forward(self, x):
            return self.exact(x)

    model, x = Named().eval(), torch.randn(1, 3, 8, 8)
    assert verify(model, optimize(model), x).passed


def test_a_refused_option_leaves_the_model_alone(pose):
    keys = list(pose.state_dict())
    with pytest.raises((TypeError, ValueError)):
        optimize(pose, executor=torch.nn.Linear(1, 1))
    assert list(pose.state_dict()) == keys
