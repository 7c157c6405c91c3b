"""The processor: its name tells those apart that a virtual machine calls alike; its cache is what Linux says."""

import pytest

from hrnet_fast import processor

EPYC = {"vendor_id": "AuthenticAMD", "model name": "AMD EPYC", "flags": "avx2 avx512f"}


@pytest.mark.parametrize(
    ("info", "name"),
    [
        ({**EPYC, "cpu family": "26"}, "AMD EPYC, Zen 5"),
        ({**EPYC, "cpu family": "25"}, "AMD EPYC, Zen 4"),
        ({**EPYC, "cpu family": "25", "flags": "avx2"}, "AMD EPYC, Zen 3"),
        ({**EPYC, "cpu family": "23"}, "AMD EPYC"),
        ({**EPYC, "cpu family": "25", "model name": "AMD EPYC 9654 96-Core"}, "AMD EPYC 9654 96-Core"),
        ({"vendor_id": "GenuineIntel", "model name": "Intel(R) Xeon(R) Processor", "cpu family": "6"},
         "Intel(R) Xeon(R) Processor"),
    ],
)  # fmt: skip
def test_the_name_has_the_generation_where_it_has_no_number(monkeypatch, info, name):
    monkeypatch.setattr(processor, "cpu_info", lambda: info)
    assert processor.cpu_model() == name


def test_this_processor_has_a_name():
    assert processor.cpu_model()


def caches(folder, **sizes):
    for name, (level, size) in sizes.items():
        (folder / name).mkdir()
        (folder / name / "level").write_text(f"{level}\n")
        (folder / name / "size").write_text(f"{size}\n")
    return folder


def test_the_third_level_cache_in_bytes(tmp_path):
    found = caches(tmp_path, index0=(1, "32K"), index2=(2, "1024K"), index3=(3, "32768K"))
    assert processor.third_level_cache(found) == 32 << 20


@pytest.mark.parametrize("sizes", [{}, {"index0": (1, "32K")}, {"index3": (3, "much")}, {"index3": (3, "")}])
def test_a_third_level_cache_that_is_not_told(tmp_path, sizes):
    assert processor.third_level_cache(caches(tmp_path, **sizes)) is None
    assert processor.third_level_cache(tmp_path / "none") is None
