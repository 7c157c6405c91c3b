"""Weights that are written, replaced or loaded after they were packed are told of, and taken."""

import threading
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from hrnet_fast import create_model, load_weights, optimize, save_weights, verify
from hrnet_fast.engine import prepared, versions
from tests.networks import SMALL, small_net


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
    assert verify(pose, fast, x).passed


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
    assert verify(pose, fast, x).passed


def test_a_parents_state_is_loaded_into_what_was_packed():
    pose = small_net()
    fast, other = optimize(pose.eval()), small_net().eval()
    with torch.no_grad():
        other.conv1.weight.mul_(2)
    parent, x = nn.ModuleDict({"backbone": fast}), torch.randn(1, 3, 64, 64)
    state = {f"backbone.{key}": value for key, value in other.state_dict().items()}
    for assign in (False, True):
        parent.load_state_dict(state, assign=assign)
        assert verify(other, fast, x).passed


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
    assert model.loaded == 1 and verify(other, fast, x).passed


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
    assert verify(pose, fast, x).passed


def test_weights_are_loaded_into_what_was_packed_and_saved_from_it(tmp_path):
    fast, other = optimize(small_net().eval()), small_net().eval()
    with torch.no_grad():
        other.conv1.weight.mul_(2)
    save_weights(optimize(other), tmp_path / "weights.pth")
    load_weights(fast, tmp_path / "weights.pth")
    x = torch.randn(1, 3, 64, 64)
    assert verify(other, fast, x).passed
