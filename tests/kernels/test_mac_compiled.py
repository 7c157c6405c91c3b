"""The CPU kernels compile and link for macOS on Apple silicon, but for their torch bindings; needs Clang for it."""

import pytest

from tests.kernels.arm_compilers import build_names, compiler_of, run
from tests.kernels.test_sanitized import CSRC, sources

# Clang's and OpenMP's names, which torch's libomp has; all others must be macOS's own.
OPENMP = """extern "C" {
int omp_get_thread_num() { return 0; }
int omp_get_num_threads() { return 1; }
int omp_in_parallel() { return 0; }
int omp_get_num_procs() { return 1; }
int __kmpc_global_thread_num(void*) { return 0; }
void __kmpc_push_num_threads(void*, int, int) {}
void __kmpc_fork_call(void*, int, void (*)(int*, int*, ...), ...) {}
}
"""


@pytest.fixture(scope="module")
def objects(tmp_path_factory) -> list:
    """What a program that plays items is made of, compiled; first the command that did so."""
    folder = tmp_path_factory.mktemp("mac")
    compiler = compiler_of("clang", folder)
    (folder / "openmp.cpp").write_text(OPENMP)
    program = [CSRC / "standalone/check_items.cpp", CSRC / "standalone/random_item.cpp", folder / "openmp.cpp"]
    targets = []
    for source in [*sources(), *program]:
        targets.append(folder / f"{source.stem}.o")
        # -O1 takes a quarter of -O3's time
        assert "warning" not in run([*compiler, "-O1", "-Wall", "-c", source, "-o", targets[-1]])
    return [compiler, *targets]


def test_all_names_but_openmp_s_are_macos_s(objects, tmp_path):
    compiler, *files = objects
    run([*compiler, *files, "-o", tmp_path / "check_items"])
    with pytest.raises(AssertionError, match="__kmpc_fork_call"):  # the linker minds what is missing
        run([*compiler, *files[:-1], "-o", tmp_path / "check_items"])


def test_an_extension_leaves_openmp_to_be_found(objects, tmp_path):
    compiler, *files = objects
    run([*compiler, "-shared", *build_names()["MAC_LINK_FLAGS"], *files[:-3], "-o", tmp_path / "_C.so"])
    assert (tmp_path / "_C.so").read_bytes()[:4] == b"\xcf\xfa\xed\xfe"  # Mach-O of 64 bits
