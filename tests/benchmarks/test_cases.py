"""Cases are data: profiles, options, photograph, weights and rivals."""

from __future__ import annotations

import io

import pytest
import torch

import hrnet_fast
from benchmarks import machine
from benchmarks.cases import PROFILES, Case, make_cases, parse_size
from benchmarks.compare import Comparison
from benchmarks.photo import photo
from benchmarks.progress import Progress
from benchmarks.results import read_run, row_of
from benchmarks.runners import RIVALS, choose_rivals
from benchmarks.session import make_session
from benchmarks.sources import our_code
from hrnet_fast.models import ARCHITECTURES
from hrnet_fast.weights.random import fill_weights

NO_OPTIONS = dict.fromkeys(
    ("models", "size", "batch", "dtype", "rivals", "seconds", "threads", "out", "budget", "resume")
)


def session_for(tmp_path, **options):
    return make_session({**NO_OPTIONS, "profile": "short", "device": "cpu", "out": tmp_path, **options}.__getitem__)


def test_short_profile_is_the_main_job():
    assert make_cases("short") == [
        Case("hrnet_w32.pose_coco_256x192", 256, 192, 1, "float32"),
        Case("hrnet_w32.pose_coco_256x192", 256, 192, 1, "bfloat16"),
    ]


def test_full_profile_runs_segmentation_at_batch_one_only():
    cases = make_cases("full")
    assert {case.batch for case in cases if "seg" in case.model} == {1}
    assert {case.batch for case in cases if "pose" in case.model} == {1, 16}
    assert len(cases) == 2 * (3 * 2 + 1)


@pytest.mark.parametrize("profile", PROFILES)
def test_profiles_name_models_that_exist_once_each(profile):
    cases = make_cases(profile)
    assert {case.model for case in cases} <= set(hrnet_fast.list_models())
    assert len(set(map(str, cases))) == len(cases)


def test_cpu_profile_is_what_the_cpu_engine_is_held_to(tmp_path):
    assert make_cases("cpu") == make_cases("full")
    session = session_for(tmp_path, profile="cpu")
    assert set(session.left_out) == {"torch.compile", "torch.compile freezing"}
    assert {"plain", "plain channels_last", "ONNX Runtime", "OpenVINO"} <= {r.name for r in session.rivals} - set(
        session.left_out
    )


def test_all_profile_covers_every_architecture_and_task():
    names = {case.model for case in make_cases("all")}
    assert {name.partition(".")[0] for name in names} == set(ARCHITECTURES)
    assert {"pose", "seg", "cls", "landmark", "det", "features"} <= {name.split(".")[1].split("_")[0] for name in names}


def test_options_replace_what_the_profile_says():
    (case,) = make_cases("full", models=["hrnet_w18.landmark_w*"], batches=[2], dtypes=["float16"], size=(64, 96))
    assert case == Case("hrnet_w18.landmark_wflw", 64, 96, 2, "float16")


def test_a_model_outside_the_profile_runs_at_its_own_size():
    assert {case.size for case in make_cases("short", models=["hrnet_w18.seg_lip"])} == {"473x473"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"models": "hrnet_w32.pose_coco_256"}, "did you mean hrnet_w32.pose_coco_256x192"),
        ({"models": "hrnet_w32.features,resnet*"}, "no model matches 'resnet\\*'"),
        ({"batch": "0"}, "--batch takes whole numbers from 1, not '0'"),
        ({"batch": "1,two"}, "--batch takes whole numbers from 1, not 'two'"),
        ({"dtype": "int8"}, "dtype 'int8' is not one of float32"),
        ({"size": "256"}, "size '256' is not HEIGHTxWIDTH"),
        ({"size": "0x64"}, "must be positive, not 0"),
        ({"rivals": "tensorrt"}, "no rival matches 'tensorrt'; the rivals are 'hrnet_fast exact', 'plain'"),
        ({"threads": 0}, "--threads takes whole numbers from 1, not 0"),
        ({"seconds": 0.0}, "--seconds must be positive"),
        ({"seconds": float("nan")}, "--seconds must be positive"),
        ({"seconds": float("inf")}, "--seconds must be positive and finite, not inf"),
        ({"budget": 0.0}, "--budget must be positive, not 0"),
        ({"device": "tpu"}, "--device is cpu or cuda, not 'tpu'"),
    ],
    ids=lambda value: "-".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else "",
)
def test_bad_options_are_refused_in_one_sentence(tmp_path, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        session_for(tmp_path, **options)
    assert "\n" not in str(caught.value)


def test_results_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"--out .*file cannot be made"):
        session_for(tmp_path, out=tmp_path / "file")


def test_command_repeats_what_was_asked(tmp_path):
    session = session_for(tmp_path, batch="1,4", rivals="plain*", threads=3)
    assert session.command == "pytest benchmarks --profile short --batch 1,4 --rivals plain* --threads 3"


def test_short_profile_leaves_a_slow_build_out_unless_asked(tmp_path):
    assert set(session_for(tmp_path).left_out) == {"torch.compile"}
    assert session_for(tmp_path, rivals="all").left_out == {}


def measured(session, case, code):
    ours = row_of(case, "hrnet_fast", "ok", p50_us=1.0, code=code)
    left_out = session.left_out.get
    rivals = [row_of(case, r.name, "not run", reason=left_out(r.name, "absent"), code=code) for r in session.rivals]
    session.add(Comparison([ours, *rivals], None))


def test_resumed_runs_leave_out_what_these_sources_have_measured(tmp_path):
    session = session_for(tmp_path, resume=True)
    first, second = session.cases
    assert session.reason_to_skip(first) is None and session.shown() is None
    measured(session, first, our_code())
    measured(session, second, "older sources")
    again = session_for(tmp_path, resume=True)
    assert again.reason_to_skip(first) == "measured before, with the same sources"
    assert again.reason_to_skip(second) is None
    shown = dict.fromkeys(row.key for row in again.shown().rows)
    assert list(shown) == [row_of(case, "", "ok").key for case in (first, second)]
    assert session_for(tmp_path).reason_to_skip(first) is None and session_for(tmp_path).shown() is None
    measured(again, second, our_code())
    assert again.has(second)


def test_resumed_runs_measure_a_case_that_lacks_a_rival_that_is_asked_for(tmp_path):
    alone = session_for(tmp_path, rivals="none")
    case = alone.cases[0]
    measured(alone, case, our_code())
    usual = session_for(tmp_path, resume=True)
    assert alone.has(case) and not usual.has(case)
    measured(usual, case, our_code())
    assert session_for(tmp_path, resume=True).has(case) and session_for(tmp_path, resume=True, rivals="none").has(case)
    assert not session_for(tmp_path, resume=True, rivals="all").has(case), "torch.compile was left out"


def test_other_threads_are_another_file(tmp_path):
    session = session_for(tmp_path, threads=1)
    measured(session, session.cases[0], our_code())
    assert session_for(tmp_path, threads=2, resume=True).reason_to_skip(session.cases[0]) is None


def test_no_case_starts_once_the_budget_is_spent(tmp_path):
    session = session_for(tmp_path, budget=5.0)
    assert session.reason_to_skip(session.cases[0]) is None
    session.started -= 6
    assert "the 5 seconds are spent" in session.reason_to_skip(session.cases[0])


@pytest.mark.parametrize(
    ("load", "told"),
    [
        (0.12, "Other programs keep 0.1 of 2 cores busy."),
        (1.4, "Other programs keep 1.4 of 2 cores busy: do not rely on the times."),
        (None, ""),
    ],
)
def test_a_busy_machine_is_told_before_the_first_case_and_kept(tmp_path, monkeypatch, load, told):
    monkeypatch.setattr(machine, "load_of_others", lambda: load)
    monkeypatch.setattr(machine, "available_cores", lambda: 2)
    session, stream = session_for(tmp_path), io.StringIO()
    for case in session.cases:
        session.look_around(Progress(stream))
        measured(session, case, our_code())
        monkeypatch.setattr(machine, "load_of_others", lambda: pytest.fail("looked again"))
    assert stream.getvalue().strip() == told
    assert {row.load_before for row in read_run(tmp_path / session.run().file_name).rows} == {load}


def test_results_of_another_place_are_refused_before_anything_is_measured(tmp_path, monkeypatch):
    session = session_for(tmp_path)
    measured(session, session.cases[0], our_code())
    newer = {**machine.versions(), "onnxruntime": "0"}
    monkeypatch.setattr(machine, "versions", lambda: newer)
    with pytest.raises(ValueError, match=r"holds \d+ rows of other versions \(onnxruntime\); move that file away"):
        session_for(tmp_path)


def test_spoiled_results_are_refused_before_anything_is_measured(tmp_path):
    session = session_for(tmp_path)
    measured(session, session.cases[0], our_code())
    (tmp_path / session.run().file_name).write_text("{")
    with pytest.raises(ValueError, match="is not JSON.*move that file away"):
        session_for(tmp_path)


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (["all"], [r.name for r in RIVALS if not any(word in r.name for word in ("CUDA", "max-", "overhead"))]),
        (["cuda*"], ["CUDA-graphed eager"]),
        (["none"], []),
        (["onnx*", "openvino"], ["ONNX Runtime", "OpenVINO"]),
        (["plain", "plain*"], ["plain", "plain channels_last"]),
    ],
    ids=["all", "other-device", "none", "case", "repeated"],
)
def test_rivals_are_chosen_by_wildcards(patterns, names):
    assert [rival.name for rival in choose_rivals(patterns, "cpu")] == names


def test_size_is_height_then_width():
    assert parse_size("256x192") == (256, 192)


def test_photo_is_a_batch_of_different_normalised_images():
    images = photo(64, 48, batch=3)
    assert images.shape == (3, 3, 64, 48) and images.dtype == torch.float32
    assert not images[0].equal(images[1]) and not images[1].equal(images[2])
    assert -2.2 < images.min() < images.max() < 2.7 and images.std() > 0.5


@pytest.mark.parametrize("size", [(64, 64), (32, 256), (97, 31)], ids=str)
def test_photo_fits_any_aspect(size):
    assert photo(*size).shape == (1, 3, *size)


def test_weights_depend_on_the_key_alone_and_keep_activations_sane():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        first = fill_weights(hrnet_fast.create_model("hrnet_w18_small.pose_coco_256x192"))
        torch.manual_seed(2)
        second = fill_weights(hrnet_fast.create_model("hrnet_w18_small.pose_coco_256x192"))
    assert all(a.equal(b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True))
    assert not first.training
    with torch.inference_mode():
        assert 0.1 < first(photo(64, 64)).std() < 10
