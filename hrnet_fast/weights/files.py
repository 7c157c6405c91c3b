"""Checkpoint files: safe reading (nothing in a file is ever executed) and atomic writing."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from .errors import CheckpointError
from .pickles import load_pickle

# Training scripts wrap the weights in these; the first that holds tensors wins, so averages come after the weights.
WRAPPERS = ("state_dict", "model", "model_state_dict", "net", "network", "weights", "params",
            "best_state_dict", "state_dict_ema", "model_ema", "ema_state_dict", "ema")  # fmt: skip
PARALLEL = "module."  # DataParallel and DistributedDataParallel
# torch.compile, FSDP, activation checkpointing: around the network or any part of it.
_WRAPPED = re.compile(r"(?<![^.])(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")

PICKLE_SUFFIXES = (".pth", ".pt", ".tar", ".bin", ".ckpt")

# (offset, first bytes, what it is, what to do) of files that are often mistaken for checkpoints.
_NOT_CHECKPOINTS = (
    (0, b"<!doctype", "a web page", "the download failed: fetch the file again"),
    (0, b"<html", "a web page", "the download failed: fetch the file again"),
    (0, b"version https://git-lfs", "a Git LFS pointer", "run `git lfs pull` where it came from"),
    (0, b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (0, b"7z\xbc\xaf", "a 7z archive", "unpack it first"),
    (0, b"\x89hdf", "an HDF5 file", "convert it to a PyTorch or safetensors checkpoint"),
    (257, b"ustar", "a tar archive", "unpack it first (a PyTorch checkpoint named .tar is not an archive)"),
)


def read_checkpoint(source: str | os.PathLike[str] | Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights of a checkpoint as {key: CPU tensor}, unwrapped, keys as written but for `module.` and the like.

    source: a .pth / .pt / .tar / .pth.tar file in either torch.save format or a .safetensors file (told apart by
        content, not by suffix), or an object that torch.load has returned. Tensors of zip files are memory-mapped,
        copy on write. Values beside the weights (optimizer, epoch, meta) are left out.
    Errors: CheckpointError for a missing, truncated, corrupt or foreign file, and for pickles that would import
        anything but tensors, plain containers, numpy values and known inert config records.
    """
    if isinstance(source, Mapping):
        return _state_dict(source, "the given dict")
    if not isinstance(source, (str, os.PathLike)):
        hint = "; give its state_dict()" if hasattr(source, "state_dict") else ""
        raise TypeError(f"a checkpoint is a path or a state dict, not {type(source).__name__}{hint}")
    return _state_dict(_read(Path(source)), f"'{source}'")


def read_safetensors(source: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a .safetensors file, keys as written, and the texts beside them.

    Errors: CheckpointError for a missing, truncated, corrupt or foreign file.
    """
    return _read(Path(source)), read_texts(source)


def read_texts(source: str | os.PathLike[str]) -> dict[str, str]:
    """The texts of a .safetensors file. Errors: CheckpointError for a file that is none."""
    safetensors = _safetensors("read", Path(source))
    try:
        with safetensors.safe_open(source, framework="pt") as file:
            return file.metadata() or {}
    except OSError as error:
        raise CheckpointError(f"cannot read checkpoint '{source}': {_os_reason(error)}") from error
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"'{source}' is no safetensors file, which alone can hold more than weights") from error


def write_checkpoint(
    path: str | os.PathLike[str], state: Mapping[str, Tensor], texts: Mapping[str, str] | None = None
) -> None:
    """Writes {key: tensor} to a .pth / .pt / .pth.tar (torch.save) or .safetensors file, whole or not at all.

    texts: written beside the tensors, into a .safetensors file alone.
    A temporary file in the same folder is renamed over `path` at the end, so a reader never sees half a file and a
    failure leaves an older file untouched; the new one keeps its permissions. Tensors are written contiguous, from the
    CPU, in their own dtype.
    Errors: CheckpointError for an unwritable path or an unknown suffix, TypeError for values that are not tensors.
    """
    path = Path(os.path.realpath(path))
    if path.suffix != ".safetensors" and path.suffix not in PICKLE_SUFFIXES:
        raise CheckpointError(
            f"cannot write '{path}': the suffix {path.suffix!r} is not known; use .pth, .pt, .pth.tar or .safetensors"
        )
    if not state:
        raise CheckpointError(f"cannot write '{path}': there are no weights to write")
    tensors = {key: _plain(key, value) for key, value in state.items()}
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            if path.exists():
                shutil.copymode(path, temporary)
            if path.suffix == ".safetensors":
                about = {"format": "pt", **(texts or {})}
                file.write(_safetensors("write", path).torch.save(_apart(tensors), metadata=about))
            else:
                torch.save(tensors, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        cause = error if isinstance(error, OSError) else error.__context__  # torch.save's own hides the file's
        if not isinstance(cause, OSError):
            raise
        raise CheckpointError(f"cannot write '{path}': {_os_reason(cause)}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _read(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            head = file.read(512)
            size = file.seek(0, os.SEEK_END)
    except OSError as error:
        raise CheckpointError(f"cannot read checkpoint '{path}': {_os_reason(error)}") from error
    return _load(path, head, size)


def _load(path: Path, head: bytes, size: int) -> Any:
    if not size:
        raise CheckpointError(f"checkpoint '{path}' is empty (0 bytes); fetch or save it again")
    # A safetensors file begins with the length of its JSON header, which may begin as any other file does.
    header = int.from_bytes(head[:8], "little")
    if head[8:9] == b"{" and 2 <= header < 1 << 32:
        if header + 8 > size:
            raise CheckpointError(f"checkpoint '{path}' is truncated: its header alone is {header} of its {size} bytes")
        safetensors = _safetensors("read", path)
        try:
            return safetensors.torch.load_file(path, device="cpu")
        except (safetensors.SafetensorError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"checkpoint '{path}' is truncated or corrupt: {_first_line(error)}") from error
    for offset, magic, what, remedy in _NOT_CHECKPOINTS:
        if head[offset : offset + len(magic)].lower() == magic:
            raise CheckpointError(f"'{path}' is {what}, not a checkpoint; {remedy}")
    if head[:4] == b"PK\x03\x04" or head[:1] == b"\x80":
        return load_pickle(path, zipped=head[:1] == b"P")
    if head.lstrip()[:1] == b"{":
        raise CheckpointError(
            f"'{path}' is a JSON file; if it lists shards, give one dict of all their tensors instead"
        )
    raise CheckpointError(f"'{path}' is neither a torch.save nor a safetensors file (it begins with {head[:8]!r})")


def _safetensors(verb: str, path: Path) -> ModuleType:
    try:
        import safetensors.torch
    except ImportError as error:
        raise CheckpointError(f"cannot {verb} '{path}': install the `safetensors` package, or use .pth") from error
    return safetensors


def _state_dict(found: Any, where: str) -> dict[str, Tensor]:
    """The innermost dict of tensors, without wrappers around it or prefixes on its keys."""
    opened = []
    while isinstance(found, Mapping) and (wrapper := next((w for w in WRAPPERS if _holds_tensors(found, w)), None)):
        opened.append(id(found))
        found = found[wrapper]
        if id(found) in opened:
            raise CheckpointError(f"{where} holds itself as {wrapper!r}; save model.state_dict()")
    if not isinstance(found, Mapping):
        raise CheckpointError(f"{where} holds a {type(found).__name__}, not a state dict; save model.state_dict()")
    written = {key: value for key, value in found.items() if _is_tensor(value)}
    state = {_bare(key): _tensor(key, value, where) for key, value in written.items()}
    if len(state) < len(written):
        raise CheckpointError(f"{where} has keys that differ only by a prefix such as 'module.'; give one of the sets")
    if not state:
        keys = ", ".join(repr(key) for key in list(found)[:4]) or "nothing"
        raise CheckpointError(f"{where} holds no weights (found {keys}); save model.state_dict()")
    return state


def _holds_tensors(found: Mapping[str, Any], wrapper: str, depth: int = 3) -> bool:
    inner = found.get(wrapper)
    if not isinstance(inner, Mapping) or not depth:  # a pickle can hold a dict that holds itself
        return False
    return any(map(_is_tensor, inner.values())) or any(_holds_tensors(inner, w, depth - 1) for w in WRAPPERS)


def _bare(key: Any) -> str:
    key = _WRAPPED.sub("", str(key))
    while key.startswith(PARALLEL):
        key = key[len(PARALLEL) :]
    return key


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor) or (isinstance(value, np.ndarray) and value.dtype.kind in "biuf")


def _tensor(key: Any, value: Tensor | np.ndarray, where: str) -> Tensor:
    """The numbers of an array or tensor. CheckpointError for what does not hold each of them in a torch dtype."""
    if isinstance(value, np.ndarray):
        if value.dtype.itemsize > 8:
            raise CheckpointError(f"{where} has {value.dtype} numbers in {key!r}; save them as float64 or float32")
        return torch.tensor(value.astype(value.dtype.newbyteorder("=")))
    kinds = {"nested": value.is_nested, "quantized": value.is_quantized, "sparse": value.layout != torch.strided}
    if kind := next((kind for kind, true in kinds.items() if true), None):
        raise CheckpointError(f"{where} has a {kind} tensor in {key!r}; save ordinary, dense tensors")
    if is_traceable_wrapper_subclass(value):  # sharded over processes, or torchao's
        kind = type(value).__name__
        raise CheckpointError(f"{where} has a {kind} in {key!r}; save ordinary tensors, whole and not quantized")
    if value.is_meta:
        raise CheckpointError(f"{where} has no values in {key!r}, a tensor on the meta device; save them from the CPU")
    return value.detach()


def _plain(key: str, value: Tensor) -> Tensor:
    if not isinstance(value, Tensor):
        raise TypeError(f"the value of {key!r} is a {type(value).__name__}, not a tensor")
    value = value.detach().cpu().contiguous()
    # A view would drag its whole storage into the file.
    return value.clone() if value.untyped_storage().nbytes() != value.numel() * value.element_size() else value


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each with a storage of its own: safetensors refuses shared ones, as of tied weights."""
    seen, apart = set(), {}
    for key, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        apart[key] = tensor.clone() if place in seen else tensor
        seen.add(place)
    return apart


def _os_reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(". ")
