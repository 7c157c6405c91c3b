"""The measured roofline takes no longer than it must."""

from types import SimpleNamespace

import pytest

from hrnet_fast.engine import machine


@pytest.mark.parametrize(("seconds", "calls"), [([0.01] * 9, 5), ([5.0, 1.0, 1.0], 2), ([0.04] * 9, 3)])
def test_slow_calls_are_few_but_never_the_first_alone(monkeypatch, seconds, calls):
    played: list[float] = []
    monkeypatch.setattr(machine, "time", SimpleNamespace(perf_counter=lambda: sum(played)))
    best = machine._best(lambda: played.append(seconds[len(played)]))
    assert len(played) == calls and best == pytest.approx(min(seconds))
