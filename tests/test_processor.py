"""The processor's name tells processors apart that a virtual machine calls alike."""

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
