"""Each command on good input: what it prints, as text and as JSON, and its exit code."""

import copy
import json

import pytest
import torch
from PIL import Image

import hrnet_fast
from hrnet_fast import api
from hrnet_fast.cli.commands import COMMANDS

SMALL = ("hrnet_w18_small.cls_in1k", "--size", "64x64")
MODEL = "hrnet_w32.pose_coco_256x192"
EVERY = {
    "list": ("list", "w18_small.pose"),
    "info": ("info", MODEL),
    "env": ("env",),
    "explain": ("explain", *SMALL),
    "verify": ("verify", *SMALL),
    "bench": ("bench", *SMALL, "--rounds", "1"),
}


@pytest.mark.parametrize("argv", EVERY.values(), ids=EVERY)
def test_text_is_printed(run, argv):
    result = run(*argv)
    assert (result.code, result.err) == (0, "")
    assert result.out.strip()


@pytest.mark.parametrize(
    "argv",
    [EVERY["list"], EVERY["info"], ("info", "hrnet_w40.det_coco"), EVERY["env"], EVERY["bench"], EVERY["explain"]],
    ids=" ".join,
)
def test_text_fits_a_terminal(run, argv):
    assert max(map(len, run(*argv).out.splitlines())) <= 100


@pytest.mark.parametrize("argv", EVERY.values(), ids=EVERY)
def test_json_is_one_object_and_nothing_else(run, argv):
    result = run(*argv, "--json")
    assert (result.code, result.err, result.out.count("\n")) == (0, "", 1)
    assert isinstance(result.json(), dict)


def test_every_command_is_tested_here():
    assert set(EVERY) | {"convert", "predict", "evaluate", "save", "synth", "tune"} == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(run, capsys, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "102")  # argparse leaves two
    with pytest.raises(SystemExit, match="0"):
        run(command, "--help")
    out = capsys.readouterr().out
    assert f"examples:\n  hrnet-fast {command}" in out and max(map(len, out.splitlines())) <= 100


def test_list_names_every_model(run):
    listed = [line.split()[0] for line in run("list").out.splitlines()]
    assert listed == hrnet_fast.list_models()


def test_list_says_head_outputs_and_size(run):
    assert run("list", MODEL).out.split() == [MODEL, "pose", "17", "256x192"]
    assert run("list", "hrnet_w32.det_coco").out.split() == ["hrnet_w32.det_coco", "detection", "-", "800x1344"]


def test_list_is_aligned(run):
    heads = {config.name: config.head for config in map(hrnet_fast.model_config, hrnet_fast.list_models())}
    columns = {line.index(f" {heads[line.split()[0]]} ") for line in run("list").out.splitlines()}
    assert len(columns) == 1


@pytest.mark.parametrize("pattern", ["w18_small.pose", "*w18_small.pose*"], ids=["part", "wildcard"])
def test_list_takes_a_part_or_a_wildcard(run, pattern):
    names = [row["name"] for row in run("--json", "list", pattern).json()["models"]]
    assert names == hrnet_fast.list_models("*w18_small.pose*") != []


def test_info_puts_ours_beside_the_printed(run):
    text = run("info", MODEL).out
    assert "28.536 M" in text and "28.5 M, 7.10 GFLOPs (the paper's table 1)" in text
    data = run("info", "--model", MODEL, "--json").json()
    assert data["parameters"] == 28_536_113
    assert data["multiply_adds"] == 7_645_003_776
    assert data["printed"]["multiply_adds"] == "7.10"
    assert (data["convolutions"], data["size_multiple"], data["output_shapes"]) == (293, 32, [[1, 17, 64, 48]])


def test_info_at_another_size_names_the_size_of_the_printed(run):
    text = run("info", MODEL, "--size", "512x384").out
    assert "30.580 G" in text and "7.10 GFLOPs at 256x192" in text


def test_info_says_when_nothing_is_printed(run):
    assert "nothing about this model" in run("info", "hrnet_w64.features").out
    assert run("info", MODEL, "--outputs", "21", "--json").json()["printed"] is None


def test_info_marks_figures_of_whole_detectors(run):
    assert "800x1200, whole Faster R-CNN" in run("info", "hrnet_w32.faster_rcnn_coco").out


def test_explain_prints_the_plan(run):
    text = run("explain", MODEL).out
    model = hrnet_fast.create_model(MODEL)
    levels = len(hrnet_fast.explain(model).levels)
    assert f"all {levels} levels" in text and "final_layer" in text and "1x17x64x48" in text


def test_explain_json_holds_every_item(run):
    data = run("explain", *SMALL, "--batch", "2", "--dtype", "bfloat16", "--executor", "reference", "--json").json()
    assert data["inputs"] == [[2, 3, 64, 64]] and data["outputs"] == [[2, 1000]] and data["map_bytes"] is None
    assert {level["executor"] for level in data["levels"]} == {"reference"}
    kinds = [item["kind"] for level in data["levels"] for item in level["items"]]
    model = hrnet_fast.create_model("hrnet_w18_small.cls_in1k")
    assert kinds.count("conv") == sum(isinstance(module, torch.nn.Conv2d) for module in model.modules())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
def test_verify_passes(run, dtype):
    data = run("verify", *SMALL, "--dtype", dtype, "--batch", "2", "--json").json()
    assert data["passed"] and data["weights"] == "random" and data["dtype"] == dtype and data["input"] == [2, 3, 64, 64]
    assert [len(output["worst_index"]) for output in data["outputs"]] == [2]


def test_verify_says_that_weights_are_random(run):
    assert run("verify", *SMALL).out.startswith("random weights")


def test_verify_reports_levels(run):
    assert len(run("verify", *SMALL, "--levels", "--json").json()["levels"]) > 50
    assert len(run("verify", *SMALL, "--levels").out.splitlines()) > 50


def test_verify_takes_a_checkpoint(run, tmp_path):
    model = hrnet_fast.create_model("hrnet_w18_small.cls_in1k")
    hrnet_fast.save_weights(model, tmp_path / "w.pth")
    result = run("verify", *SMALL, "--weights", str(tmp_path / "w.pth"), "--json")
    assert result.code == 0 and len(result.json()["weights"]["matched"]) == 552


@pytest.fixture
def wrong_numbers(monkeypatch):
    """An optimize whose result computes with the first convolution a hundredth too strong."""
    genuine = api.optimize

    def spoiled(model, **options):
        other = copy.deepcopy(model)
        with torch.no_grad():
            other.conv1.weight.mul_(1.01)
        return genuine(other, **options)

    monkeypatch.setattr(api, "optimize", spoiled)


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_verify_fails_on_wrong_numbers(run, wrong_numbers, as_json):
    result = run("verify", *SMALL, *["--json"] * as_json)
    assert result.code == 1
    assert result.json()["passed"] is False if as_json else "FAILED" in result.out


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_bench_prints_no_time_on_wrong_numbers(run, wrong_numbers, as_json):
    result = run("bench", *SMALL, "--rounds", "1", *["--json"] * as_json)
    assert result.code == 1
    if as_json:
        assert result.json()["passed"] is False and result.json()["rows"] == []
    else:
        assert "not timed" in result.out and "p50" not in result.out


def test_bench_times_ours_and_the_plain_module(run):
    data = run("bench", *SMALL, "--rounds", "2", "--threads", "1", "--json").json()
    assert data["passed"] and data["threads"] == 1
    assert [row["executor"] for row in data["rows"]] == ["hrnet_fast", "torch, NCHW", "torch, channels-last"]
    for row in data["rows"]:
        assert 0 < row["p50_us"] <= row["p90_us"] <= row["p99_us"] and 2 <= row["samples"] <= 6


def test_bench_points_to_the_full_comparison(run):
    assert "pytest benchmarks/" in run("bench", *SMALL, "--rounds", "1").out


def test_convert_round_trip_is_exact(run, tmp_path):
    model = hrnet_fast.create_model("hrnet_w18_small.pose_coco_256x192")
    first, theirs, back = (str(tmp_path / name) for name in ("a.pth", "b.pth", "c.safetensors"))
    hrnet_fast.save_weights(model, first)
    name = ("--model", "hrnet_w18_small.pose_coco_256x192")
    result = run("convert", first, theirs, *name, "--layout", "mmpose")
    assert result.code == 0 and "matched    350 of 350 keys" in result.out and "(mmpose keys)" in result.out
    assert any(key.startswith("backbone.") for key in torch.load(theirs))
    data = run("convert", theirs, back, *name, "--json").json()
    assert (data["layout"], data["target_layout"], data["dropped"]) == ("mmpose", "official", {})
    other = hrnet_fast.create_model("hrnet_w18_small.pose_coco_256x192")
    hrnet_fast.load_weights(other, back)
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values()))


def test_convert_takes_another_number_of_outputs(run, tmp_path):
    model = hrnet_fast.create_model("hrnet_w18_small.pose_coco_256x192", num_outputs=21)
    hrnet_fast.save_weights(model, tmp_path / "a.pth")
    argv = ("convert", str(tmp_path / "a.pth"), str(tmp_path / "b.pth"), "--model", "hrnet_w18_small.pose_coco_256x192")
    assert run(*argv).code == 2
    assert run(*argv, "--outputs", "21").code == 0


def test_a_saved_network_predicts_what_the_named_one_does(run, tmp_path):
    name = "hrnet_w18_small.pose_coco_256x192"
    hrnet_fast.save_weights(hrnet_fast.create_model(name), tmp_path / "a.pth")
    out, weights = str(tmp_path / "net.safetensors"), ("--weights", str(tmp_path / "a.pth"))
    argv = ("save", out, "--model", name, *weights, "--size", "64x96", "--size", "32x32")
    assert "of 64x96, 32x32" in run(*argv).out
    assert run(*argv, "--json").json()["sizes"] == [[64, 96], [32, 32]]
    assert hrnet_fast.load(out)(torch.zeros(2, 3, 32, 32)).shape == (2, 17, 8, 8)

    Image.effect_noise((90, 60), 50).convert("RGB").save(tmp_path / "a.png")
    assert run("save", out, "--model", name, *weights).code == 0
    found = []
    for model in ((name, *weights), (out,)):
        folder = tmp_path / str(len(found))
        result = run("predict", str(tmp_path / "a.png"), "--model", *model, "--out", str(folder))
        assert result.code == 0 and "random" not in result.out + result.err
        found.append((folder / "results.jsonl").read_text())
    assert found[0] == found[1]


@pytest.mark.parametrize("command", ["save", "convert"])
def test_a_network_whose_head_would_stay_random_is_not_written(run, tmp_path, command):
    classifier, out = tmp_path / "a.pth", tmp_path / "out.safetensors"
    hrnet_fast.save_weights(hrnet_fast.create_model("hrnet_w18_small.cls_in1k"), classifier)
    name = ("--model", "hrnet_w18_small.pose_coco_256x192")
    given = (str(out), *name, "--weights", str(classifier)) if command == "save" else (str(classifier), str(out), *name)
    result = run(command, *given)
    assert result.code == 2 and "it is a checkpoint of another task" in result.err and not out.exists()


@pytest.fixture
def foreign(tmp_path):
    """A file of a network that is none of ours, for 64x48 images; and a picture."""
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, stride=4, padding=1), torch.nn.Conv2d(8, 17, 3, padding=1))
    hrnet_fast.save(network, tmp_path / "net.safetensors", (1, 3, 64, 48), (1, 3, 32, 32))
    Image.effect_noise((90, 60), 50).convert("RGB").save(tmp_path / "a.png")
    return str(tmp_path / "net.safetensors")


@pytest.mark.parametrize("command", ["info", "explain", "verify", "bench", "tune"])
def test_a_file_takes_the_place_of_a_name(run, foreign, command):
    more = {"bench": ("--rounds", "1"), "tune": ("--device", "cpu")}.get(command, ())
    for size, shown in ((), "64x48"), (("--size", "32x32"), "32x32"):
        result = run(command, foreign, *size, *more)
        assert (result.code, result.err) == (0, "")
        assert command in ("verify", "tune") or shown in result.out
        assert "random" not in result.out
        assert run(command, foreign, *size, *more, "--json").json()["model"] == foreign


def test_a_file_keeps_its_sizes_and_outputs(run, foreign):
    result = run("verify", foreign, "--size", "64x64")
    assert result.code == 2 and "saved for inputs of (N, 3, 64, 48), or (N, 3, 32, 32)" in result.err
    result = run("info", foreign, "--outputs", "3")
    assert result.code == 2 and "--outputs belongs to a named model" in result.err


def test_a_file_that_takes_no_images_is_refused(run, tmp_path):
    path = str(tmp_path / "net.safetensors")
    hrnet_fast.save(torch.nn.Linear(3, 4), path, (1, 3))
    result = run("verify", path)
    assert result.code == 2 and "takes something else than a batch of images" in result.err


def test_another_code_base_s_network_is_told_its_task(run, foreign, tmp_path):
    predict = ("predict", str(tmp_path / "a.png"), "--model", foreign, "--out", str(tmp_path / "out"))
    result = run(*predict)
    assert result.code == 2 and "was saved from another code base's model: say by --task what it is for" in result.err
    result = run(*predict, "--task", "pose", "--json")
    assert (result.code, result.json()["weights"]) == (0, foreign)
    assert len(json.loads((tmp_path / "out" / "results.jsonl").read_text().splitlines()[-1])["people"]) == 1
    result = run(*predict[:2], "--model", MODEL, "--task", "segmentation")
    assert result.code == 2 and f"{MODEL} is for pose, not for segmentation" in result.err


def test_a_file_that_is_not_there_is_named(run, tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    result = run("predict", str(tmp_path / "a.png"), "--model", "nothing.safetensors")
    assert result.code == 2 and "nothing.safetensors" in result.err and "no such file" in result.err
