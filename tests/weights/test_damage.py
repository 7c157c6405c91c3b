"""Files and dicts that people or damage have changed, and disks that fill up: the same weights, or one sentence."""

import contextlib
import gzip
import io
import pickle
import resource
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from torch.testing._internal.two_tensor import TwoTensor

from hrnet_fast.weights import CheckpointError, read_checkpoint, write_checkpoint
from tests.weights.refused import refused


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    return {"conv1.weight": torch.arange(135.0).view(5, 3, 3, 3), "bn1.num_batches_tracked": torch.tensor(7)}


def test_arrays_keep_order_and_byte_order(tmp_path):
    array = np.arange(6.0, dtype=">f4").reshape(2, 3)
    torch.save({"big-endian": array, "fortran": np.asfortranarray(array, "f4")}, tmp_path / "a.pth")
    for value in read_checkpoint(tmp_path / "a.pth").values():
        assert torch.equal(value, torch.arange(6.0).view(2, 3))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (torch.ones(2).to_sparse(), "a sparse tensor in 'a'"),
        (torch.nested.nested_tensor([torch.ones(1), torch.ones(2)], layout=torch.jagged), "a nested tensor in 'a'"),
        (TwoTensor(torch.ones(2), torch.ones(2)), "has a TwoTensor in 'a'; save ordinary tensors"),
        (torch.ones(2, device="meta"), "no values in 'a', a tensor on the meta device"),
        (np.ones(2, np.longdouble), "numbers in 'a'; save them as float64"),
    ],
    ids=["sparse", "nested", "sharded", "meta", "long double"],
)
def test_tensors_without_plain_values_are_refused(value, words):
    with pytest.raises(CheckpointError, match=words):
        read_checkpoint({"state_dict": {"a": value}})


def test_dict_of_weights_that_holds_itself():
    found = {"a": torch.ones(1)}
    found["model"] = found
    with pytest.raises(CheckpointError, match="holds itself as 'model'; save model.state_dict"):
        read_checkpoint(found)


def test_file_packed_anew_is_read(state, tmp_path, same_bits):
    """Unpacked and packed by a zip program, which compresses what torch.save only stores."""
    torch.save(state, tmp_path / "a.pth")
    with (
        zipfile.ZipFile(tmp_path / "a.pth") as stored,
        zipfile.ZipFile(tmp_path / "b.pth", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in stored.namelist():
            packed.writestr(name, stored.read(name))
    same_bits(state, read_checkpoint(tmp_path / "b.pth"))


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_any_damage_is_refused_or_harmless(kind, state, tmp_path):
    """Bytes changed at random in the names, the pickle and the numpy records: a sentence or weights, never a crash."""
    path, random = tmp_path / "a.pth", np.random.default_rng(0)
    torch.save(
        {"state_dict": state, "meta": {"sigmas": np.ones(3), "best": np.float64(0.7)}},
        path,
        _use_new_zipfile_serialization=kind == "zip",
    )
    whole = path.read_bytes()
    for _ in range(300):
        damaged = bytearray(whole)
        for at in random.integers(0, min(len(whole), 3000), random.choice([1, 3, 9])):
            damaged[at] = random.choice([0, 1, 127, 255, damaged[at] ^ 4])
        path.write_bytes(damaged)
        with contextlib.suppress(CheckpointError):
            read_checkpoint(path)


def test_damaged_dtype_is_harmless(tmp_path):
    """A shorter state, which np.dtype's own __setstate__ takes, and a process does not survive."""
    path = tmp_path / "a.pth"
    torch.save({"sigmas": np.arange(3)}, path, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"NNNJ", b"\x80NNJ"))
    assert path.read_bytes() != whole
    assert torch.equal(read_checkpoint(path)["sigmas"], torch.arange(3))


def test_full_disk_is_told_by_its_own_name(state, tmp_path):
    """torch.save answers the file's OSError with a RuntimeError of its own."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        with pytest.raises(CheckpointError, match="cannot write .*a.pth': file too large"):
            write_checkpoint(tmp_path / "a.pth", state)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("keep", [0.999, 0.9, 0.5, 0.1, 0.01], ids=lambda keep: f"{keep:.1%}")
@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_truncated_file(kind, keep, state, tmp_path):
    path = tmp_path / ("a.safetensors" if kind == "safetensors" else "a.pth")
    if kind == "legacy":
        torch.save(state, path, _use_new_zipfile_serialization=False)
    else:
        write_checkpoint(path, state)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with refused(path, r"truncated|corrupt|neither"):
        read_checkpoint(path)


@pytest.mark.parametrize("place", ["weights", "pickle"])
def test_one_flipped_bit_is_seen(place, state, tmp_path):
    path = tmp_path / "a.pth"
    write_checkpoint(path, state)
    needle = state["conv1.weight"].numpy().tobytes() if place == "weights" else b"conv1.weight"
    data = bytearray(path.read_bytes())
    data[data.index(needle)] ^= 1
    path.write_bytes(data)
    with refused(path, "truncated or corrupt"):
        read_checkpoint(path)


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


NO_CHECKPOINTS = {
    "empty": (b"", "is empty"),
    "text": (b"hello, I am no checkpoint", "neither a torch.save nor a safetensors file"),
    "web-page": (b"<!DOCTYPE html><html><title>Google Drive</title>", "a web page.*download failed"),
    "html": (b"<HTML>", "a web page"),
    "shards": (
        b'{"metadata": {}, "weight_map": {}}',
        "is a JSON file; if it lists shards, give one dict of all their tensors",
    ),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS pointer.*git lfs pull"),
    "gzip": (gzip.compress(b"x" * 99), "gzip archive.*unpack"),
    "tar": (a_tar(), "tar archive.*unpack"),
    "zip": (a_zip("hrnet.pth"), "zip archive without a PyTorch checkpoint"),
    "torchscript": (a_zip("archive/constants.pkl"), "TorchScript archive"),
    "pickle2": (pickle.dumps({"conv1.weight": [1.0]}, protocol=2), "truncated, corrupt or not written by torch.save"),
    "pickle4": (pickle.dumps({"conv1.weight": [1.0]}, protocol=4), "truncated, corrupt or not written by torch.save"),
    "stub": (b"\x80\x02", "truncated, corrupt"),
    "safetensors-short": (b"\xff\xff\x00\x00\x00\x00\x00\x00{", "truncated: its header alone"),
    "safetensors-bad": (b"\x02\x00\x00\x00\x00\x00\x00\x00{]", "truncated or corrupt"),
}


@pytest.mark.parametrize(("content", "words"), NO_CHECKPOINTS.values(), ids=NO_CHECKPOINTS)
@pytest.mark.filterwarnings("ignore:Detected pickle protocol 4")
def test_not_a_checkpoint(content, words, tmp_path):
    path = tmp_path / "pose_hrnet_w32_256x192.pth"
    path.write_bytes(content)
    with refused(path, words):
        read_checkpoint(path)
