"""What a report says of the sources that it measured."""

import subprocess

import pytest

from benchmarks import machine

FILES = ("README.md", "docs/speed.md", "benchmarks/machine.py", "benchmarks/results/cpu.json", "csrc/conv.h")


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("as committed")
    me = ("-c", "user.name=me", "-c", "user.email=me@example.com")
    for words in (["init", "-q"], ["add", "."], [*me, "commit", "-qm", "all"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    monkeypatch.setattr(machine, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize(("changed", "dirty"), list(zip(FILES, (False, False, True, False, True), strict=True)))
def test_results_do_not_make_a_checkout_dirty(checkout, changed, dirty):
    clean = machine.commit()
    assert len(clean) == 10
    (checkout / changed).write_text("changed")
    assert machine.commit() == clean + "+dirty" * dirty


def test_outside_a_checkout(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setattr(machine, "ROOT", tmp_path)
    assert machine.commit() == "unknown"
