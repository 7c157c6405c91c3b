"""Files and dicts that people or damage have changed, and disks that fill up: the same weights, or one sentence."""

import contextlib
import resource
import zipfile

import numpy as np
import pytest
import torch
from torch.testing._internal.two_tensor import TwoTensor

from hrnet_fast.weights import CheckpointError, read_checkpoint, write_checkpoint


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
