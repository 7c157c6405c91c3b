"""The cache of measured results: what is put is got, whatever the file and its folder are like."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from hrnet_fast.engine.gpu import device_key as key_module
from hrnet_fast.engine.gpu.device_key import DeviceKey, device_key, kernels_digest, source_digest
from hrnet_fast.engine.tuning import cache as cache_module
from hrnet_fast.engine.tuning.cache import TuningCache, cache_folder, parse
from hrnet_fast.engine.tuning.file_lock import file_lock
from tests.threads import at_once

KEY = DeviceKey("NVIDIA H200", "9.0", 132, "2.15.0+cu132", "3.9.0", "0123456789abcdef")
TILE = {"rows": 64, "columns": 32, "step": 64, "split": 4}
SIGNATURE = "float16 | conv 3x3 32->32 @64x48 | conv 3x3 64->64 @32x24"


def file_of(folder: Path, key: DeviceKey = KEY) -> Path:
    return folder / key.file_name


def written(folder: Path, key: DeviceKey = KEY) -> dict:
    return json.loads(file_of(folder, key).read_text())


def test_what_is_put_is_got_by_the_next_process(tmp_path):
    cache = TuningCache(tmp_path)
    assert cache.get(KEY, "tiles", SIGNATURE) is None
    cache.put(KEY, "tiles", SIGNATURE, TILE)
    cache.put(KEY, "executors", "hrnet 1x3x256x192 float16", {"executor": "triton", "us": {"triton": 180.5}})
    again = TuningCache(tmp_path)
    assert again.get(KEY, "tiles", SIGNATURE) == TILE
    assert again.get(KEY, "executors", "hrnet 1x3x256x192 float16")["executor"] == "triton"
    assert again.get(KEY, "executors", SIGNATURE) is None
    assert written(tmp_path)["device"] == asdict(KEY)


def test_the_file_is_one_a_key_and_readable(tmp_path):
    TuningCache(tmp_path).put(KEY, "tiles", SIGNATURE, TILE)
    (path,) = tmp_path.glob("*.json")
    assert path.name == "NVIDIA-H200_sm9.0_132sm_torch2.15.0-cu132_triton3.9.0_0123456789ab.json"
    assert len(path.read_text().splitlines()) > 10
    assert SIGNATURE in path.read_text()


@pytest.mark.parametrize("part", ["gpu", "capability", "torch", "triton", "kernels"])
def test_another_key_has_entries_of_its_own(tmp_path, part):
    cache = TuningCache(tmp_path)
    cache.put(KEY, "tiles", SIGNATURE, TILE)
    other = replace(KEY, **{part: "f" + getattr(KEY, part)})
    assert cache.get(other, "tiles", SIGNATURE) is None
    cache.put(other, "tiles", SIGNATURE, {**TILE, "split": 1})
    assert TuningCache(tmp_path).get(KEY, "tiles", SIGNATURE) == TILE


def test_entries_are_copies(tmp_path):
    cache, mine = TuningCache(tmp_path), {"items": [1, 2]}
    cache.put(KEY, "tiles", SIGNATURE, mine)
    mine["items"].append(3)
    cache.get(KEY, "tiles", SIGNATURE)["items"].append(4)
    assert cache.get(KEY, "tiles", SIGNATURE) == {"items": [1, 2]}


def test_a_write_adds_to_what_another_wrote(tmp_path):
    one, other = TuningCache(tmp_path), TuningCache(tmp_path)
    one.get(KEY, "tiles", "a"), other.get(KEY, "tiles", "b")  # both have seen an empty file
    one.put(KEY, "tiles", "a", {"n": 1})
    other.put(KEY, "tiles", "b", {"n": 2})
    one.put(KEY, "executors", "c", {"n": 3})
    assert written(tmp_path)["tiles"] == {"a": {"n": 1}, "b": {"n": 2}}
    assert one.get(KEY, "tiles", "b") == {"n": 2}


def test_what_another_wrote_later_takes_the_place_of_what_is_known(tmp_path):
    one, other = TuningCache(tmp_path), TuningCache(tmp_path)
    one.put(KEY, "tiles", "a", {"n": 1})
    other.put(KEY, "tiles", "a", {"n": 2})
    one.put(KEY, "tiles", "b", {"n": 3})
    assert one.get(KEY, "tiles", "a") == written(tmp_path)["tiles"]["a"] == {"n": 2}


WRITER = """
import sys
from hrnet_fast.engine.gpu.device_key import DeviceKey
from hrnet_fast.engine.tuning.cache import TuningCache, parse
folder, name = sys.argv[1:]
key = DeviceKey("NVIDIA H200", "9.0", 132, "2.15.0+cu132", "3.9.0", "0123456789abcdef")
cache = TuningCache(folder)
print("ready", flush=True)
sys.stdin.readline()
for i in range(40):
    cache.put(key, "tiles", f"{name} {i}", {"n": i})
    cache.put(key, "executors", "contended", {"by": name, "n": i})
    parse((cache.folder / key.file_name).read_bytes(), DeviceKey)  # never torn
"""


def test_several_processes_write_at_once(tmp_path):
    writers = [
        subprocess.Popen(
            [sys.executable, "-W", "error::UserWarning:hrnet_fast", "-c", WRITER, str(tmp_path), name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for name in "abcd"
    ]  # fmt: skip
    for writer in writers:
        assert writer.stdout.readline() == "ready\n", writer.stderr.read()
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        _, errors = writer.communicate(timeout=120)
        assert writer.returncode == 0 and "Warning" not in errors, errors
    assert set(written(tmp_path)["tiles"]) == {f"{name} {i}" for name in "abcd" for i in range(40)}
    assert written(tmp_path)["executors"]["contended"]["n"] == 39
    assert not list(tmp_path.glob("*.tmp")) and not list(tmp_path.glob(".*.tmp"))


def test_threads_share_one_cache(tmp_path):
    cache = TuningCache(tmp_path)

    def work(name):
        for i in range(20):
            cache.put(KEY, "tiles", f"{name} {i}", {"n": i})
            assert cache.get(KEY, "tiles", f"{name} {i}") == {"n": i}

    at_once(work, "abcd")
    assert len(written(tmp_path)["tiles"]) == 80


def good() -> dict:
    return {"format": 1, "device": asdict(KEY), "tiles": {SIGNATURE: TILE}, "executors": {}}


BAD = {
    "torn": json.dumps(good())[:150].encode(),
    "empty": b"",
    "binary": b"\xff\xfe\x00\x01",
    "not a dict": b"[1, 2]",
    "another format": json.dumps({**good(), "format": 2}).encode(),
    "no device": json.dumps({"format": 1}).encode(),
    "another device": json.dumps({**good(), "device": asdict(replace(KEY, gpu="NVIDIA L4"))}).encode(),
    "device of other types": json.dumps({**good(), "device": {**asdict(KEY), "multiprocessors": "132"}}).encode(),
    "entries that are none": json.dumps({**good(), "tiles": {SIGNATURE: 3}}).encode(),
    "kinds that are none": json.dumps({**good(), "executors": [1]}).encode(),
    "too deep": b"[" * 100_000,
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_a_file_that_is_not_ours_is_ignored_with_one_warning(tmp_path, content):
    file_of(tmp_path).write_bytes(content)
    cache = TuningCache(tmp_path)
    with pytest.warns(UserWarning, match="is ignored, as it is no file of measured results: ") as warned:
        assert cache.get(KEY, "tiles", SIGNATURE) is None
        cache.put(KEY, "tiles", SIGNATURE, TILE)
        cache.put(KEY, "tiles", "another", TILE)
    assert len(warned) == 1
    assert TuningCache(tmp_path).get(KEY, "tiles", SIGNATURE) == TILE
    assert file_of(tmp_path).with_name(f"{KEY.file_name}.ignored").read_bytes() == content


@pytest.fixture
def read_only(tmp_path):
    """A folder that cannot be written: by its mode, or for root, who may write anywhere, as a file in its place."""
    folder = tmp_path / "cache"
    if os.geteuid() == 0:
        folder.write_text("a file")
    else:
        folder.mkdir()
        folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    return folder


def test_a_folder_that_cannot_be_written_is_warned_of_once(read_only):
    cache = TuningCache(read_only)
    with pytest.warns(
        UserWarning, match="measured results cannot be kept in .*; they last as long as this process"
    ) as warned:
        for i in range(3):
            cache.put(KEY, "tiles", str(i), TILE)
    assert len(warned) == 1
    assert cache.get(KEY, "tiles", "0") == TILE


def test_a_file_that_cannot_be_read_is_not_replaced(tmp_path, monkeypatch):
    TuningCache(tmp_path).put(KEY, "tiles", "a", TILE)
    cache = TuningCache(tmp_path)

    def locked(self):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched, pytest.warns(UserWarning) as warned:
        patched.setattr(Path, "read_bytes", locked)
        assert cache.get(KEY, "tiles", "a") is None
        cache.put(KEY, "tiles", "b", TILE)
    read, kept = (str(w.message) for w in warned)
    assert "cannot be read from" in read and "cannot be kept in" in kept
    assert cache.get(KEY, "tiles", "b") == TILE
    assert set(written(tmp_path)["tiles"]) == {"a"}


def test_what_the_file_held_is_known_although_it_cannot_be_written(tmp_path, monkeypatch):
    TuningCache(tmp_path).put(KEY, "tiles", "a", TILE)

    def full(path, key, entries):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache_module, "_write", full)
    cache = TuningCache(tmp_path)
    with pytest.warns(UserWarning, match="No space left on device"):
        cache.put(KEY, "tiles", "b", TILE)
    assert cache.get(KEY, "tiles", "a") == cache.get(KEY, "tiles", "b") == TILE


def test_an_error_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    cache = TuningCache(tmp_path)
    cache.put(KEY, "tiles", "a", TILE)

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.warns(UserWarning, match="No space left on device"):
        cache.put(KEY, "tiles", "b", TILE)
    assert set(written(tmp_path)["tiles"]) == {"a"}
    assert not list(tmp_path.glob(".*.tmp"))
    monkeypatch.undo()
    cache.put(KEY, "tiles", "c", TILE)  # takes along what could not be written
    assert set(written(tmp_path)["tiles"]) == {"a", "b", "c"}


def test_without_a_home_results_stay_in_memory(monkeypatch):
    for name in ("HRNET_FAST_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    cache = TuningCache()
    with pytest.warns(UserWarning, match="no home folder for measured results: set HRNET_FAST_CACHE"):
        cache.put(KEY, "tiles", SIGNATURE, TILE)
    assert cache.get(KEY, "tiles", SIGNATURE) == TILE


def test_where_the_folder_lies(monkeypatch, tmp_path):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.delenv("HRNET_FAST_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == tmp_path / ".cache" / "hrnet_fast"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == tmp_path / ".cache" / "hrnet_fast"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "hrnet_fast"
    monkeypatch.setenv("HRNET_FAST_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    assert TuningCache().folder == tmp_path / "own"


@pytest.mark.parametrize(
    ("entry", "error", "sentence"),
    [
        ([1], TypeError, "an entry is a dict, not list"),
        ({"t": (1, 2)}, ValueError, "comes back from JSON as .*: use strings as keys, lists for tuples"),
        ({1: 2}, ValueError, "comes back from JSON"),
        ({"t": float("nan")}, ValueError, "cannot be written as JSON"),
        ({"t": torch.float16}, ValueError, "cannot be written as JSON"),
    ],
    ids=["list", "tuple", "key", "nan", "object"],
)
def test_entries_that_are_refused(tmp_path, entry, error, sentence):
    with pytest.raises(error, match=sentence):
        TuningCache(tmp_path).put(KEY, "tiles", SIGNATURE, entry)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("method", ["get", "put"])
def test_a_kind_that_is_not_known_is_refused(tmp_path, method):
    arguments = (KEY, "tile", SIGNATURE) + ((TILE,) if method == "put" else ())
    with pytest.raises(ValueError, match="of the kinds tiles, cuda_tiles, executors, not 'tile'"):
        getattr(TuningCache(tmp_path), method)(*arguments)


def test_a_lock_that_another_holds_is_waited_for_and_given_up(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", "import fcntl, sys, time\nf = open(sys.argv[1], 'a')\nfcntl.flock(f, fcntl.LOCK_EX)\n"
         "print('held', flush=True)\ntime.sleep(60)", str(tmp_path / "lock")],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert holder.stdout.readline() == "held\n"
        start = time.monotonic()
        with (
            pytest.raises(TimeoutError, match=r"another process has held .*lock for 0.2 s"),
            file_lock(tmp_path / "lock", 0.2),
        ):
            pass
        assert time.monotonic() - start >= 0.2
    finally:
        holder.kill()
        holder.wait()
    with file_lock(tmp_path / "lock", 0.2):  # went with its holder
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forked processes here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning", "ignore:.*fork:RuntimeWarning")
def test_a_child_forked_inside_a_lock_does_not_keep_it(tmp_path):
    with file_lock(tmp_path / "lock", 0.2):
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
    try:
        with file_lock(tmp_path / "lock", 0.2):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_the_digest_counts_code_alone(tmp_path):
    file = tmp_path / "kernel.py"
    file.write_text("x = 1\n")
    first = source_digest(tmp_path, [file])
    file.write_text("# a comment\n\nx = 1   \r\n    # another\n")
    assert source_digest(tmp_path, [file]) == first
    file.write_text("x = 2\n")
    assert source_digest(tmp_path, [file]) != first
    other = file.rename(tmp_path / "other.py")
    other.write_text("x = 1\n")
    assert source_digest(tmp_path, [other]) != first


def test_the_kernels_digest_reads_the_kernels(monkeypatch):
    read = []
    monkeypatch.setattr(key_module, "source_digest", lambda folder, files: read.extend(files) or "digest")
    assert kernels_digest.__wrapped__() == "digest"
    names = {path.relative_to(Path(key_module.kernels.__file__).parent).as_posix() for path in read}
    assert {"triton/level.py", "level.py", "bordered.py"} <= names
    assert "fuse_sum.py" not in names


def test_the_key_of_a_device(monkeypatch):
    class Properties:
        name, major, minor, multi_processor_count = "NVIDIA H200", 9, 0, 132

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: Properties)
    key = device_key(torch.device("cuda", 0))
    assert (key.gpu, key.capability, key.multiprocessors, key.torch) == ("NVIDIA H200", "9.0", 132, torch.__version__)
    assert len(key.kernels) == 64 and key.triton[0].isdigit()
    assert parse(json.dumps({"format": 1, "device": asdict(key)}).encode(), DeviceKey)[0] == key
