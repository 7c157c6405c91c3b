"""Reading and writing files: nothing is executed, nothing is half-written, every refusal is one sentence."""

import argparse
import errno
import gzip
import io
import os
import pickle
import sys
import tarfile
import types
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hrnet_fast.weights import CheckpointError, read_checkpoint, write_checkpoint
from hrnet_fast.weights.files import WRAPPERS

SUFFIXES = [".pth", ".pt", ".pth.tar", ".safetensors"]


class Evil:
    """A pickle that makes a file when it is loaded carelessly."""

    def __init__(self, victim: os.PathLike):
        self.victim = str(victim)

    def __reduce__(self):
        return os.mkdir, (self.victim,)


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


def sentence(path, error: pytest.ExceptionInfo) -> str:
    """The message, checked to be one sentence that names the file."""
    message = str(error.value)
    assert str(path) in message and "\n" not in message and len(message) < 300
    return message


def damage(path, change) -> None:
    path.write_bytes(change(path.read_bytes()))


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


@pytest.fixture
def foreign_classes(monkeypatch):
    """Stand-ins for framework classes, importable only while the file is written."""
    made = {}
    for name, base in (
        ("mmengine.config.config.ConfigDict", dict),
        ("mmcv.utils.config.ConfigDict", dict),
        ("yacs.config.CfgNode", dict),
        ("mmengine.logging.history_buffer.HistoryBuffer", object),
    ):
        module, _, cls = name.rpartition(".")
        made[name] = type(cls, (base,), {"__module__": module})
        parts = module.split(".")
        for end in range(1, len(parts) + 1):
            package = ".".join(parts[:end])
            if package not in sys.modules:
                monkeypatch.setitem(sys.modules, package, types.ModuleType(package))
        monkeypatch.setattr(sys.modules[module], cls, made[name], raising=False)
    return made


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_inert_records_beside_the_weights_are_harmless(
    zipped, state, tmp_path, same_bits, foreign_classes, monkeypatch
):
    """mm* `meta` and `message_hub`, timm's `args`, Lightning's paths: read without importing what wrote them."""
    buffer = foreign_classes["mmengine.logging.history_buffer.HistoryBuffer"]()
    buffer._log_history = np.array([0.5, 0.25])
    buffer._statistics_methods = OrderedDict()
    config = foreign_classes["mmengine.config.config.ConfigDict"](model={"type": "HRNet"})
    config.filename = "td-hm_hrnet-w32.py"
    meta = {
        "dataset_meta": {"sigmas": np.array([0.026, 0.025], dtype=np.float32), "classes": np.array(["person"])},
        "cfg": config,
        "old_cfg": foreign_classes["mmcv.utils.config.ConfigDict"](a=1),
        "node": foreign_classes["yacs.config.CfgNode"](GPUS=(0,)),
        "keypoints": np.array([{"name": "nose"}], dtype=object),
        "flipped": np.asfortranarray(np.ones((2, 3))),
        "best_score": np.float64(0.749),
        "best_epoch": np.int64(200),
        "flag": np.bool_(True),
    }
    found = {"meta": meta, "state_dict": state, "message_hub": {"loss": buffer}, "args": argparse.Namespace(lr=0.1)}
    found["hyper_parameters"] = {"root": Path("data/coco")}
    torch.save(found, tmp_path / "mm.pth", _use_new_zipfile_serialization=zipped)
    monkeypatch.undo()
    same_bits(state, read_checkpoint(tmp_path / "mm.pth"))
    assert "mmengine.logging.history_buffer" not in sys.modules


def test_reading_leaves_no_trace_in_torch(state, tmp_path):
    before = set(torch.serialization.get_safe_globals())  # torch lists them in no order
    write_checkpoint(tmp_path / "a.pth", state)
    read_checkpoint(tmp_path / "a.pth")
    assert set(torch.serialization.get_safe_globals()) == before


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_pickle_that_runs_code_is_refused(zipped, state, tmp_path):
    path, victim = tmp_path / "evil.pth", tmp_path / "victim"
    torch.save({"state_dict": state, "extra": Evil(victim)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        CheckpointError, match=r"refused to load .* imports 'posix.mkdir'.* run any code.*save"
    ) as error:
        read_checkpoint(path)
    sentence(path, error)
    assert not victim.exists()


def test_pickled_module_is_refused(tmp_path):
    """The landmark repository's training checkpoints hold the whole model object."""
    torch.save({"state_dict": nn.DataParallel(nn.Conv2d(1, 1, 1))}, tmp_path / "model_best.pth")
    with pytest.raises(CheckpointError, match=r"DataParallel'.*torch.save\(model.state_dict\(\)"):
        read_checkpoint(tmp_path / "model_best.pth")


@pytest.mark.parametrize("keep", [0.999, 0.9, 0.5, 0.1, 0.01], ids=lambda keep: f"{keep:.1%}")
@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_truncated_file(kind, keep, state, tmp_path):
    path = tmp_path / ("a.safetensors" if kind == "safetensors" else "a.pth")
    if kind == "legacy":
        torch.save(state, path, _use_new_zipfile_serialization=False)
    else:
        write_checkpoint(path, state)
    damage(path, lambda data: data[: int(len(data) * keep)])
    with pytest.raises(CheckpointError, match=r"truncated|corrupt|neither") as error:
        read_checkpoint(path)
    sentence(path, error)


@pytest.mark.parametrize("place", ["weights", "pickle"])
def test_one_flipped_bit_is_seen(place, state, tmp_path):
    path = tmp_path / "a.pth"
    write_checkpoint(path, state)
    needle = state["row of a wider one"].numpy().tobytes() if place == "weights" else b"conv1.weight"

    def flip(data: bytes) -> bytes:
        at = data.index(needle)
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]

    damage(path, flip)
    with pytest.raises(CheckpointError, match="truncated or corrupt") as error:
        read_checkpoint(path)
    sentence(path, error)


def test_file_without_checksums_is_read(state, tmp_path, same_bits):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(state, tmp_path / "a.pth")
    finally:
        torch.serialization.set_crc32_options(True)
    same_bits(state, read_checkpoint(tmp_path / "a.pth"))


def a_tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("hrnet.pth"))
    return file.getvalue()


def a_zip(name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, "x")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"hello, I am no checkpoint", "neither a torch.save nor a safetensors file"),
        (b"<!DOCTYPE html><html><title>Google Drive</title>", "a web page.*download failed"),
        (b"<HTML>", "a web page"),
        (
            b'{"metadata": {}, "weight_map": {}}',
            "is a JSON file; if it lists shards, give one dict of all their tensors",
        ),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS pointer.*git lfs pull"),
        (gzip.compress(b"x" * 99), "gzip archive.*unpack"),
        (a_tar(), "tar archive.*unpack"),
        (a_zip("hrnet.pth"), "zip archive without a PyTorch checkpoint"),
        (a_zip("archive/constants.pkl"), "TorchScript archive"),
        (pickle.dumps({"conv1.weight": [1.0]}, protocol=2), "truncated, corrupt or not written by torch.save"),
        (pickle.dumps({"conv1.weight": [1.0]}, protocol=4), "truncated, corrupt or not written by torch.save"),
        (b"\x80\x02", "truncated, corrupt"),
        (b"\xff\xff\x00\x00\x00\x00\x00\x00{", "truncated: its header alone"),
        (b"\x02\x00\x00\x00\x00\x00\x00\x00{]", "truncated or corrupt"),
    ],
    ids=[
        "empty",
        "text",
        "web-page",
        "html",
        "shards",
        "lfs",
        "gzip",
        "tar",
        "zip",
        "torchscript",
        "pickle2",
        "pickle4",
        "stub",
        "safetensors-short",
        "safetensors-bad",
    ],
)
@pytest.mark.filterwarnings("ignore:Detected pickle protocol 4")
def test_not_a_checkpoint(content, words, tmp_path):
    path = tmp_path / "pose_hrnet_w32_256x192.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=words) as error:
        read_checkpoint(path)
    sentence(path, error)


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
    with pytest.raises(CheckpointError, match=words) as error:
        read_checkpoint(path)
    sentence(path, error)


def test_missing_file_and_folder(tmp_path):
    for path, words in ((tmp_path / "no.pth", "no such file"), (tmp_path, "is a directory")):
        with pytest.raises(CheckpointError, match=words) as error:
            read_checkpoint(path)
        sentence(path, error)


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
        with pytest.raises(CheckpointError, match=words) as error:
            write_checkpoint(path, state)
        sentence(path, error)
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
