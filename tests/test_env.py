import json

import torch

from hrnet_fast import env, kernels


def test_the_report_is_plain_data_about_this_process():
    report = env.environment()
    assert json.loads(json.dumps(report)) == report
    assert report["versions"]["torch"] == torch.__version__
    assert report["machine"]["cores"] >= 1
    assert report["extension"]["kind"] == kernels.extension().kind
    assert report["ops"] == kernels.implementations()
    assert set(report["optional"]) == set(env.OPTIONAL)


def test_the_table_fits_and_names_everything():
    text = env.format_environment(env.environment())
    assert all(len(line) <= 100 for line in text.splitlines())
    for word in (torch.__version__, "op fuse_sum", "op resize_concat", "extension", "GPU", *env.OPTIONAL):
        assert word in text


def test_a_missing_extension_is_told_with_its_reason():
    report = env.environment()
    report["extension"] = {"kind": "none", "reason": "no C++ compiler was found", "build": {}}
    report["machine"] |= {"features": {}, "isa": None}
    text = env.format_environment(report)
    assert "not built: the ops run on plain torch" in text
    assert "no C++ compiler was found" in text


def test_an_absent_package_is_told(monkeypatch):
    monkeypatch.setitem(env.OPTIONAL, "no-such-package", "no_such_package")
    report = env.environment()
    assert report["optional"]["no-such-package"] is None
    absent = env.format_environment(report).split("absent")[1]
    assert "no-such-package" in absent


def test_a_gpu_is_told():
    report = env.environment()
    report["gpus"] = [{"name": "NVIDIA H200", "memory_gib": 139.8, "capability": "9.0"}]
    assert "NVIDIA H200, 139.8 GiB, sm_90" in env.format_environment(report)
