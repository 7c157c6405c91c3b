"""Bad input: exit code 2, one sentence on stderr that says what to do, nothing on stdout, no file left behind."""

import re

import pytest
import torch

from hrnet_fast.engine.choose import EXECUTORS
from hrnet_fast.weights import layout_names

POSE = "hrnet_w32.pose_coco_256x192"
SMALL = "hrnet_w18_small.cls_in1k"

CASES = {
    "no command": ((), "required: COMMAND"),
    "unknown command": (("benchmark",), "invalid choice: 'benchmark'"),
    "unknown option": (("bench", SMALL, "--bacth", "2"), "--bacth"),
    "no model": (("explain",), "no model was named"),
    "two models": (("info", POSE, "--model", SMALL), f"'{POSE}' and '{SMALL}': name one"),
    "unknown model": (("info", "hrnet_w32.pose"), f"did you mean '{POSE}'"),
    "unknown architecture": (("verify", "hrnet32.pose_coco_256x192"), f"did you mean '{POSE}'"),
    "unknown pattern": (("list", "resnet"), "no model matches 'resnet'"),
    "size of one number": (("explain", POSE, "--size", "256"), "'256' is not HEIGHTxWIDTH"),
    "size with a sign": (("explain", POSE, "--size", "-256x192"), "--size"),
    "size of zero": (("explain", POSE, "--size", "0x192"), "'0x192' is not HEIGHTxWIDTH"),
    "explain: size not a multiple of 32": (("explain", POSE, "--size", "250x192"), "the next size up is 256x192"),
    "verify: size not a multiple of 32": (("verify", SMALL, "--size", "64x65"), "the next size up is 64x96"),
    "info: size not a multiple of 32": (("info", POSE, "--size", "250x192"), "the next size up is 256x192"),
    "bench: size not a multiple of 32": (("bench", SMALL, "--size", "63x64"), "the next size up is 64x64"),
    "batch of zero": (("verify", SMALL, "--batch", "0"), "'0' is not a whole number of at least 1"),
    "batch in words": (("verify", SMALL, "--batch", "two"), "'two' is not a whole number"),
    "no threads": (("env", "--threads", "0"), "'0' is not a whole number of at least 1"),
    "endless threads": (("env", "--threads", "1025"), "'1025' is more than 1024 threads"),
    "no rounds": (("bench", SMALL, "--rounds", "0"), "'0' is not a whole number of at least 1"),
    "outputs beyond memory": (("info", SMALL, "--outputs", "9" * 20), "is more than 999999999"),
    "size beyond memory": (("info", SMALL, "--size", "32x" + "9" * 20), "is not HEIGHTxWIDTH"),
    "weights of an unset variable": (("verify", SMALL, "--weights", ""), "--weights: it names no file"),
    "unknown dtype": (("bench", SMALL, "--dtype", "int8"), "choose one of float32, bfloat16, float16, float64"),
    "unknown executor": (("explain", SMALL, "--executor", "gpu"), "choose one of 'auto', 'native', 'onednn',"),
    "refused executor": (("explain", SMALL, "--dtype", "float64", "--executor", "onednn"), "float64"),
    "tune without a GPU": (("tune", SMALL, "--device", "cuda:99"), "there is no device cuda:99: torch"),
    "seconds to tune a CPU": (("tune", SMALL, "--device", "cpu", "--seconds", "9"), "--seconds limits the tuning on"),
    "missing weights": (("verify", SMALL, "--weights", "none.pth"), "'none.pth': no such file"),
    "missing checkpoint": (("convert", "none.pth", "b.pth", "--model", SMALL), "'none.pth': no such file"),
    "convert without a model": (("convert", "a.pth", "b.pth"), "required: --model"),
    "convert without a target": (("convert", "a.pth", "--model", SMALL), "required: OUT"),
}


def assert_one_sentence(result, part):
    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith("hrnet-fast: ") and result.err.count("\n") == 1 and result.err.endswith("\n")
    assert part in result.err


@pytest.mark.parametrize(("argv", "part"), CASES.values(), ids=CASES)
def test_bad_input_is_told_in_one_sentence(run, tmp_path, monkeypatch, argv, part):
    monkeypatch.chdir(tmp_path)
    assert_one_sentence(run(*argv), part)
    assert_one_sentence(run(*argv, "--json"), part)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    import hrnet_fast

    path = tmp_path_factory.mktemp("weights") / "cls.pth"
    hrnet_fast.save_weights(hrnet_fast.create_model(SMALL), path)
    return path


@pytest.mark.parametrize(
    ("target", "options", "part"),
    [
        ("none/b.pth", (), "no such file or directory"),
        ("b.txt", (), "the suffix '.txt' is not known"),
        ("b.pth", ("--layout", "caffe"), "layout 'caffe' is not known; choose one of"),
        ("b.pth", ("--layout", "mmpose"), "no place for a classification model"),
        ("b.pth", ("--model", "hrnet_w18.cls_in1k"), "looks like hrnet_w18_small"),
    ],
    ids=["no such folder", "unknown suffix", "unknown layout", "layout of another task", "another width"],
)
def test_convert_writes_nothing_on_bad_input(run, tmp_path, checkpoint, target, options, part):
    assert_one_sentence(run("convert", str(checkpoint), str(tmp_path / target), "--model", SMALL, *options), part)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04cut"], ids=["empty", "text", "truncated"])
def test_a_damaged_checkpoint_is_refused(run, tmp_path, content):
    path = tmp_path / "w.pth"
    path.write_bytes(content)
    assert_one_sentence(run("verify", SMALL, "--weights", str(path)), "w.pth")


def test_weights_with_nan_are_named(run, tmp_path, checkpoint):
    state = torch.load(checkpoint)
    state["conv1.weight"][0, 0, 0, 0] = float("nan")
    torch.save(state, tmp_path / "nan.pth")
    assert_one_sentence(run("verify", SMALL, "--weights", str(tmp_path / "nan.pth")), "NaN in 'conv1.weight'")


def test_debug_shows_the_traceback(run):
    with pytest.raises(KeyError, match=r"hrnet_w32\.pos"):
        run("info", "hrnet_w32.pos", "--debug")


def test_help_names_what_the_library_takes(run, capsys):
    for command, names in (("convert", set(layout_names()) - {"higherhrnet"}), ("explain", EXECUTORS)):
        with pytest.raises(SystemExit):
            run(command, "--help")
        shown = re.sub(r"-\s+", "-", capsys.readouterr().out).replace(",", " ").split()  # a line may end at a hyphen
        assert set(names) <= set(shown)
