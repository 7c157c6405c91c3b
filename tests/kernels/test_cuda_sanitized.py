"""The code of the small ops' CUDA threads on the CPU, under AddressSanitizer and UndefinedBehaviorSanitizer.

csrc/standalone/check_threads.cpp plays them on random heatmaps, crops and labels, in memory of their exact size.
"""

import pytest

from tests.kernels.test_sanitized import COMPILER, CSRC, FLAGS, run

ITEMS = 300  # of each op and dtype


def test_threads_touch_nothing_else(tmp_path):
    try:
        probe = run(*COMPILER, *FLAGS, "-x", "c++", "-", "-o", tmp_path / "probe", input="int main() { return 0; }")
    except FileNotFoundError:
        pytest.skip(f"no C++ compiler was found (looked for `{COMPILER[0]}`)")
    if probe.returncode or (probe := run(tmp_path / "probe")).returncode:
        pytest.skip(f"this compiler's sanitizers cannot be used: {(probe.stderr.splitlines() or ['no message'])[0]}")
    done = run(*COMPILER, *FLAGS, CSRC / "standalone/check_threads.cpp", "-o", tmp_path / "check_threads")
    assert done.returncode == 0, done.stderr
    done = run(tmp_path / "check_threads", str(ITEMS), timeout=300)
    assert (done.returncode, done.stdout) == (0, f"{ITEMS} items are there\n"), done.stdout + done.stderr
