"""The emulator of the CUDA kernels by itself: what it says of small kernels with one mistake each."""

import subprocess

from tests.kernels.cuda_emulator import CSRC, compile_with


def test_every_mistake_is_named(tmp_path):
    program = compile_with([], CSRC / "standalone/check_emulator.cpp", tmp_path / "check_emulator")
    done = subprocess.run([program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == 31
