"""The command as a process of its own: entry points, start-up, pipes and output."""

import os
import subprocess
import sys

import pytest

import hrnet_fast
from hrnet_fast.cli import main
from hrnet_fast.cli.output import to_json


def python(*argv, **options):
    return subprocess.run(
        [sys.executable, *argv], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, **options
    )


def test_the_module_runs_as_the_command():
    done = python("-m", "hrnet_fast", "list", "hrnet_w32.pose_coco")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[0] for line in done.stdout.splitlines()] == hrnet_fast.list_models("hrnet_w32.pose_coco*")


def test_bad_input_ends_a_process_with_2():
    done = python("-m", "hrnet_fast", "info", "nonsense")
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "line",
    ["--help", "--version", "bench --help", "predict --help", "evaluate --help", "synth --help", "bench --size x"],
)
def test_torch_is_not_imported_for(line):
    program = (
        "import sys\nfrom hrnet_fast.cli import main\n"
        f"try:\n    main({line.split()!r})\nexcept SystemExit:\n    pass\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = python("-c", program)
    assert done.returncode == 0, done.stderr


def test_a_closed_pipe_is_no_error():
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "hrnet_fast", "list"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, timeout=120)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


def test_an_encoding_that_lacks_a_letter_is_no_error():
    done = python("-m", "hrnet_fast", "explain", "hrnet_w18_small.cls_in1k", "--size", "32x32",
                  env={**os.environ, "PYTHONIOENCODING": "ascii"})  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "") and r"\u2026" in done.stdout


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is Linux's")
def test_a_full_standard_output_is_named():
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "hrnet_fast", "list"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (2, "hrnet-fast: standard output: No space left on device\n")


def test_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"hrnet-fast {hrnet_fast.__version__}\n"


def test_threads_are_set(run):
    assert run("env", "--threads", "1", "--json").json()["machine"]["threads"] == 1


def test_options_count_before_and_after_the_command(run):
    before, after = run("--json", "list", "w32.det"), run("list", "w32.det", "--json")
    assert before.out == after.out and before.json()["models"][0]["head"] == "detection"


def test_json_has_no_numbers_that_json_lacks():
    assert to_json({"a": [float("nan"), (float("inf"),)], "b": 1.5}) == '{"a": ["nan", ["inf"]], "b": 1.5}'
