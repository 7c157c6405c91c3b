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


def _inert() -> list[Any]:
    """What torch's weights-only unpickler may rebuild in addition to its own list."""
    multiarray = np._core.multiarray if hasattr(np, "_core") else np.core.multiarray
    numpy = [
        (getattr(multiarray, name), f"numpy.{core}.multiarray.{name}")
        for name in ("scalar", "_reconstruct")
        for core in ("core", "_core")  # numpy renamed it in 2.0
    ]
    dtypes = {type(np.dtype(code)) for code in "?bhilqBHILQefdFDOSU"}
    return [*numpy, np.ndarray, np.dtype, *dtypes, *((OrderedDict, name) for name in _RECORDS)]


_INERT = _inert()
# torch keeps the allow-list in one process-wide table.
_LOCK = threading.Lock()
_REFUSED = re.compile(r"GLOBAL (\S*\w) (?:was not|whose module)")


def load_pickle(path: Path, zipped: bool) -> Any:
    """The object in a torch.save file. Raises CheckpointError if it is corrupt or would run code."""
    if zipped:
        _check_zip(path)
    try:
        with _LOCK, torch.serialization.safe_globals(_INERT):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except Exception as error:  # a corrupt pickle can raise any exception
        if refused := _REFUSED.search(str(error)):
            raise CheckpointError(
                f"refused to load '{path}': it is a pickle that imports '{refused[1]}', and unpickling "
                "that can run any code; where you trust it, re-save only the weights with "
                "torch.save(model.state_dict(), path)"
            ) from None
        raise CheckpointError(f"checkpoint '{path}' is truncated, corrupt or not written by torch.save") from error


def _check_zip(path: Path) -> None:
    """Checks the archive and every checksum: torch.load itself does not, and would return damaged weights."""
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
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise CheckpointError(f"checkpoint '{path}' is truncated or corrupt ({error}); fetch it again") from error
