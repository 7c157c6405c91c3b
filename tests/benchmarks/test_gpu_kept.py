"""What outlives a machine: packed small, and put back only where it belongs."""

from __future__ import annotations

import io
import tarfile

import pytest

from benchmarks.gpu import kept

FILES = {
    "tuning/tiles.json": "{}", "tests/tests-gpu-0.jsonl": '{"total": 1}', "triton/ABC/level_kernel.cubin": "code",
    "triton/ABC/__grp__level_kernel.json": "{}", "triton/DEF/launcher.so": "a launcher",
}  # fmt: skip
LEFT_OUT = {"triton/ABC/level_kernel.ptx": "text", "answers/a.pt": "numbers", "logs/micro-1-2.log": "words"}


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Makes the work folder of a machine."""

    def make(name, files):
        work = tmp_path / name
        for path, text in files.items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_text(text)
        monkeypatch.setattr(kept, "WORK", work)
        return work

    return make


def found(work):
    return {str(path.relative_to(work)): path.read_text() for path in work.rglob("*") if path.is_file()}


def test_the_next_machine_goes_on(machine, tmp_path):
    machine("first", {**FILES, **LEFT_OUT})
    assert kept.keep(tmp_path / "mirror") == f"kept for another machine: {tmp_path / 'mirror' / kept.NAME}"
    with tarfile.open(tmp_path / "mirror" / kept.NAME) as archive:
        assert set(archive.getnames()) == {*FILES, "logs/micro-1-2.log"}  # a log is to be read, not to be put back
    work = machine("second", {"tuning/tiles.json": "newer"})
    told = kept.restore([tmp_path, tmp_path / "mirror"])
    assert told == f"4 files of another machine from {tmp_path / 'mirror' / kept.NAME}"
    assert found(work) == {**FILES, "tuning/tiles.json": "newer"}
    assert kept.restore([tmp_path / "mirror"]) is None


def test_kernels_that_are_too_large_are_left_out_and_that_is_said(machine, tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "MOST", 100)
    machine("first", FILES)
    assert ", without Triton's kernels, as they are 0 MiB" in kept.keep(tmp_path)
    work = machine("second", {})
    kept.restore([tmp_path])
    assert set(found(work)) == {"tuning/tiles.json", "tests/tests-gpu-0.jsonl"}


def test_nothing_is_kept_of_nothing(machine, tmp_path):
    machine("first", {"answers/a.pt": "numbers"})
    assert kept.keep(tmp_path) is None and kept.restore([tmp_path]) is None


@pytest.mark.parametrize("name", ["../tuning/tiles.json", "/tuning/tiles.json", "other/tiles.json"])
def test_what_does_not_belong_there_is_not_put_anywhere(machine, tmp_path, name):
    work = machine("second", {})
    with tarfile.open(tmp_path / kept.NAME, "w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size = 2
        archive.addfile(member, io.BytesIO(b"{}"))
    assert kept.restore([tmp_path]) is None and not work.exists() and not (tmp_path / "tuning").exists()


def test_a_broken_file_is_named_and_ignored(machine, tmp_path):
    machine("second", {})
    (tmp_path / kept.NAME).write_bytes(b"half")
    assert "is ignored, as it cannot be read" in kept.restore([tmp_path])
