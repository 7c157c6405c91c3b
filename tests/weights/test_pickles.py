"""Pickles: inert records beside the weights are read, and nothing is executed."""

import argparse
import os
import sys
import types
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hrnet_fast.weights import CheckpointError, read_checkpoint, write_checkpoint
from tests.weights.refused import refused


class Evil:
    """A pickle that makes a file when it is loaded carelessly."""

    def __init__(self, victim: os.PathLike):
        self.victim = str(victim)

    def __reduce__(self):
        return os.mkdir, (self.victim,)


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    return {"conv1.weight": torch.arange(135.0).view(5, 3, 3, 3), "bn1.num_batches_tracked": torch.tensor(7)}


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
    with refused(path, r"refused to load .* imports 'posix.mkdir'.* run any code.*save"):
        read_checkpoint(path)
    assert not victim.exists()


def test_pickled_module_is_refused(tmp_path):
    """The landmark repository's training checkpoints hold the whole model object."""
    torch.save({"state_dict": nn.DataParallel(nn.Conv2d(1, 1, 1))}, tmp_path / "model_best.pth")
    with pytest.raises(CheckpointError, match=r"DataParallel'.*torch.save\(model.state_dict\(\)"):
        read_checkpoint(tmp_path / "model_best.pth")
