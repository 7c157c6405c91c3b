"""torch.save files without trust: only tensors, plain containers and inert values are rebuilt."""

from __future__ import annotations

import re
import threading
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .errors import CheckpointError

# Config and log records that training frameworks store beside the weights (mmcv / mmengine `meta`, timm `args`).
# Their classes are never imported: each is rebuilt as a plain OrderedDict.
_RECORDS = (
    "addict.addict.Dict",
    "argparse.Namespace",
    "easydict.EasyDict",
    "fvcore.common.config.CfgNode",
    "mmcv.utils.config.ConfigDict",
    "mmengine.config.config.ConfigDict",
    "mmengine.logging.history_buffer.HistoryBuffer",
    "yacs.config.CfgNode",
)


class _Dtype:
    """A pickled np.dtype, whose own __setstate__ reads and writes any memory if the file is damaged."""

    def __init__(self, code: str, *_: Any) -> None:
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array(np.ndarray):
    """A pickled array; empty until its state, checked to be the bytes of numbers or characters, is set."""

    def __new__(cls, *_: Any) -> _Array:
        return super().__new__(cls, 0)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, data = state
        if isinstance(data, list):  # of objects, which are no weights
            return
        array = np.frombuffer(data, dtype.dtype).reshape(shape)
        checked: Any = (1, array.shape, array.dtype, bool(fortran), array.tobytes())
        super().__setstate__(checked)


def _path(*parts: str) -> str:
    return "/".join(parts)


def _scalar(dtype: _Dtype, data: bytes) -> np.generic:
    return np.frombuffer(data, dtype.dtype)[0]


def _inert() -> list[Any]:
    """What torch's weights-only unpickler may rebuild in addition to its own list, each with the name in the file."""
    numpy = [
        (rebuild, f"numpy.{core}.multiarray.{name}")
        for name, rebuild in (("scalar", _scalar), ("_reconstruct", _Array))
        for core in ("core", "_core")  # numpy renamed it in 2.0
    ]
    paths = [  # among Lightning's hyper_parameters
        (_path, f"{module}.{system}Path")
        for module in ("pathlib", "pathlib._local")  # Python 3.13 moved it
        for system in ("Posix", "Windows")
    ]
    return [
        *numpy,
        *paths,
        (_Array, "numpy.ndarray"),
        (_Dtype, "numpy.dtype"),
        *((OrderedDict, name) for name in _RECORDS),
    ]


_INERT = _inert()
# torch keeps the allow-list in one process-wide table.
_LOCK = threading.Lock()
_REFUSED = re.compile(r"GLOBAL (\S*\w) (?:was not|whose module)")


def load_pickle(path: Path, zipped: bool) -> Any:
    """The object in a torch.save file. Raises CheckpointError if it is corrupt or would run code."""
    mapped = zipped and _check_zip(path)
    try:
        with _LOCK, torch.serialization.safe_globals(_INERT):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # a corrupt pickle can raise any exception
        if refused := _REFUSED.search(str(error)):
            raise CheckpointError(
                f"refused to load '{path}': it is a pickle that imports '{refused[1]}', and unpickling "
                "that can run any code; where you trust it, re-save only the weights with "
                "torch.save(model.state_dict(), path)"
            ) from None
        raise CheckpointError(f"checkpoint '{path}' is truncated, corrupt or not written by torch.save") from error


def _check_zip(path: Path) -> bool:
    """Checks the archive and every checksum: torch.load itself does not, and would return damaged weights.

    Returns whether nothing in it is compressed, so that tensors can be mapped: torch.load would map the packed bytes.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if any(name.endswith("/constants.pkl") for name in names):
                raise CheckpointError(f"'{path}' is a TorchScript archive; save the state_dict() of the loaded module")
            if not any(name.endswith("/data.pkl") for name in names):
                raise CheckpointError(f"'{path}' is a zip archive without a PyTorch checkpoint; unpack it first")
            for entry in archive.infolist():
                if entry.CRC == 0:  # written with torch.serialization.set_crc32_options(False)
                    continue
                with archive.open(entry) as record:
                    while record.read(1 << 20):
                        pass
            return all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())
    except CheckpointError:
        raise
    except Exception as error:  # so can a corrupt archive
        raise CheckpointError(f"checkpoint '{path}' is truncated or corrupt ({error}); fetch it again") from error
