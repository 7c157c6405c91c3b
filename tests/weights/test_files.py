"""Reading and writing files: exact, nothing is half-written, every refusal is one sentence."""

import errno
import os
import sys

import numpy as np
import pytest
import torch
from torch import nn

from hrnet_fast.weights import CheckpointError, read_checkpoint, write_checkpoint
from hrnet_fast.weights.files import WRAPPERS
from tests.weights.refused import refused

SUFFIXES = [".pth", ".pt", ".pth.tar", ".safetensors"]


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    """Dtypes, sizes and values that a careless copy would change."""
    generator = torch.Generator().manual_seed(0)
    wide = torch.randn(64, 7, generator=generator)
    return {
        "conv1.weight": torch.randn(5, 3, 3, 3, generator=generator).to(memory_format=torch.channels_last),
        "half": torch.tensor([6e-8, -0.0, 65504], dtype=torch.half),
        "bfloat": torch.randn(3, generator=generator).bfloat16(),
        "double": torch.tensor([float("nan"), float("-inf"), 1e-310], dtype=torch.double),
        "bn1.num_batches_tracked": torch.tensor(2**40),
        "row of a wider one": wide[3],
        "strided": wide.t(),
        "none": torch.empty(0, 4),
    }


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_round_trip_is_exact(suffix, state, tmp_path, same_bits):
    write_checkpoint(tmp_path / f"a{suffix}", state)
    same_bits(state, read_checkpoint(tmp_path / f"a{suffix}"))


def test_old_torch_save_format(state, tmp_path, same_bits):
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    same_bits(state, read_checkpoint(tmp_path / "old.pth"))


def test_any_length_of_a_safetensors_header_is_read(state, tmp_path, same_bits):
    """Its first byte is also that of a pickle, where it is 0x80."""
    path, first = tmp_path / "s.safetensors", set()
    for length in range(0, 256, 8):
        write_checkpoint(path, state, {"text": " " * length})
        first.add(path.read_bytes()[0])
        same_bits(state, read_checkpoint(path))
    assert 0x80 in first


def test_content_decides_not_the_suffix(state, tmp_path, same_bits):
    write_checkpoint(tmp_path / "a.safetensors", state)
    os.rename(tmp_path / "a.safetensors", tmp_path / "a.pth")
    same_bits(state, read_checkpoint(str(tmp_path / "a.pth")))


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_wrappers_are_opened(wrapper, state, tmp_path, same_bits):
    torch.save({"epoch": 3, wrapper: state, "optimizer": {"state": {0: {"m": torch.ones(2)}}}}, tmp_path / "a.pth")
    same_bits(state, read_checkpoint(tmp_path / "a.pth"))


def test_official_training_checkpoint(state, same_bits):
    """tools/train.py of the pose repository: `model` is the network's name, `best_state_dict` a second set."""
    other = {key: value + 1 for key, value in state.items()}
    parallel = {f"module.{key}": value for key, value in state.items()}
    found = {"epoch": 210, "model": "pose_hrnet", "state_dict": parallel, "best_state_dict": other, "perf": 0.7}
    same_bits(state, read_checkpoint(found))


def test_weights_come_before_their_average(state, same_bits):
    average = {key: value * 0 for key, value in state.items()}
    same_bits(state, read_checkpoint({"ema": average, "state_dict_ema": average, "model": state}))
    same_bits(average, read_checkpoint({"ema_state_dict": average, "model": "hrnet"}))


def test_nested_wrappers_and_parameters(state, same_bits):
    parameters = {key: nn.Parameter(v) if v.is_floating_point() else v for key, v in state.items()}
    found = read_checkpoint({"net": {"state_dict": parameters}})
    same_bits(state, found)
    assert not any(value.requires_grad for value in found.values())


def test_dict_that_holds_itself(state, tmp_path, same_bits):
    found = {"state_dict": {"epoch": 3}, "model": state}
    found["state_dict"]["state_dict"] = found["state_dict"]
    torch.save(found, tmp_path / "a.pth")
    same_bits(state, read_checkpoint(tmp_path / "a.pth"))


def test_numpy_arrays_count_as_weights(tmp_path):
    torch.save({"conv1.weight": np.arange(6.0).reshape(2, 3), "classes": np.array(["a"])}, tmp_path / "a.pth")
    found = read_checkpoint(tmp_path / "a.pth")
    assert list(found) == ["conv1.weight"] and torch.equal(found["conv1.weight"], torch.arange(6.0).view(2, 3).double())


def test_file_without_checksums_is_read(state, tmp_path, same_bits):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(state, tmp_path / "a.pth")
    finally:
        torch.serialization.set_crc32_options(True)
    same_bits(state, read_checkpoint(tmp_path / "a.pth"))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({}, "holds no weights .found nothing"),
        ({"epoch": 3, "lr": 0.1}, "holds no weights .found 'epoch', 'lr'"),
        ({"state_dict": {}}, "holds no weights"),
        ([torch.ones(2)], "holds a list, not a state dict"),
        (torch.ones(2), "holds a Tensor, not a state dict"),
        ({"a": torch.ones(1), "module.a": torch.ones(1)}, "differ only by a prefix"),
    ],
    ids=["nothing", "no-tensors", "empty-dict", "list", "tensor", "colliding"],
)
def test_no_state_dict(found, words, tmp_path):
    path = tmp_path / "a.pth"
    torch.save(found, path)
    with refused(path, words):
        read_checkpoint(path)


def test_missing_file_and_folder(tmp_path):
    for path, words in ((tmp_path / "no.pth", "no such file"), (tmp_path, "is a directory")):
        with refused(path, words):
            read_checkpoint(path)


def test_wrong_kinds_of_source():
    with pytest.raises(TypeError, match=r"not Conv2d; give its state_dict\(\)"):
        read_checkpoint(nn.Conv2d(1, 1, 1))
    with pytest.raises(TypeError, match="a path or a state dict, not NoneType"):
        read_checkpoint(None)


def test_unwritable_paths(state, tmp_path):
    (tmp_path / "folder.pth").mkdir()
    for path, words in (
        (tmp_path / "nowhere" / "a.pth", "no such file or directory"),
        (tmp_path / "folder.pth", "is a directory"),
        (tmp_path / "a.onnx", "suffix '.onnx' is not known; use .pth"),
        (tmp_path / "plain", "suffix '' is not known"),
    ):
        with refused(path, words):
            write_checkpoint(path, state)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.pth"]


def test_nothing_to_write(tmp_path):
    with pytest.raises(CheckpointError, match="no weights to write"):
        write_checkpoint(tmp_path / "a.pth", {})
    with pytest.raises(TypeError, match="'epoch' is a int, not a tensor"):
        write_checkpoint(tmp_path / "a.pth", {"epoch": 3})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()], ids=repr)
def test_failure_midway_leaves_the_old_file(failure, state, tmp_path, same_bits, monkeypatch):
    path = tmp_path / "a.pth"
    write_checkpoint(path, state)

    def half(_, file):
        file.write(b"PK\x03\x04 half")
        raise failure

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(CheckpointError if isinstance(failure, OSError) else KeyboardInterrupt):
        write_checkpoint(path, {"other": torch.ones(3)})
    assert [file.name for file in tmp_path.iterdir()] == ["a.pth"]
    same_bits(state, read_checkpoint(path))


def test_overwriting_a_file_that_is_memory_mapped(state, tmp_path, same_bits):
    path = tmp_path / "a.pth"
    write_checkpoint(path, state)
    mapped = read_checkpoint(path)
    write_checkpoint(path, {"other": torch.ones(3)})
    same_bits(state, mapped)


def test_link_and_permissions_are_kept(state, tmp_path):
    (tmp_path / "link.pth").symlink_to(tmp_path / "real.pth")
    write_checkpoint(tmp_path / "link.pth", state)
    assert (tmp_path / "link.pth").is_symlink()
    (tmp_path / "ordinary").touch()
    assert (tmp_path / "real.pth").stat().st_mode == (tmp_path / "ordinary").stat().st_mode
    (tmp_path / "real.pth").chmod(0o600)
    write_checkpoint(tmp_path / "link.pth", state)
    assert (tmp_path / "real.pth").stat().st_mode & 0o777 == 0o600


def test_view_does_not_drag_its_storage_along(tmp_path):
    write_checkpoint(tmp_path / "a.pth", {"row": torch.zeros(1000, 1000)[5]})
    assert (tmp_path / "a.pth").stat().st_size < 10_000


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_tensors_that_share_numbers_are_each_written(suffix, tmp_path, same_bits):
    tied = torch.randn(4, 3)
    state = {"a": tied, "b": tied, "c": tied.view(3, 4), "d": tied[:2]}
    write_checkpoint(tmp_path / f"a{suffix}", state)
    same_bits(read_checkpoint(tmp_path / f"a{suffix}"), state)


@pytest.mark.parametrize("verb", ["read", "write"])
def test_safetensors_not_installed(verb, state, tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    write_checkpoint(path, state)
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    with pytest.raises(CheckpointError, match=f"cannot {verb} .*install the `safetensors` package"):
        read_checkpoint(path) if verb == "read" else write_checkpoint(path, state)
