"""Real timm models, both ways."""

import pytest
import torch

from hrnet_fast.numerics import relative_l2, within_tolerance
from hrnet_fast.weights import load_weights, save_weights
from tests.exact import assert_exact
from tests.weights.test_origins import outputs

timm = pytest.importorskip("timm")

CLS = "hrnet_w18_small.cls_in1k"


@pytest.mark.parametrize("options", [{}, {"head_conv_bias": False}], ids=["ms", "ssld"])
def test_timm_classifier(options, make, randomize):
    theirs = randomize(timm.create_model("hrnet_w18_small", **options), 1).double()
    ours = make(CLS, seed=2).double()
    report = load_weights(ours, theirs.state_dict())
    assert set(report.matched) == set(ours.state_dict()) and not report.dropped
    assert report.layout == ("timm" if options else "official")
    assert any("biases that the timm layout does not have" in note for note in report.notes) == bool(options)
    x = torch.randn(1, 3, 64, 64, dtype=torch.double)
    assert_exact(outputs(ours, x), outputs(theirs, x))


def test_timm_takes_what_we_write(make, tmp_path):
    model = make(CLS)
    save_weights(model, tmp_path / "hrnet.safetensors", layout="timm")
    theirs = timm.create_model("hrnet_w18_small", checkpoint_path=str(tmp_path / "hrnet.safetensors")).eval()
    x = torch.randn(1, 3, 64, 64)
    (plain,), (got,) = outputs(model, x), outputs(theirs, x)
    (want,) = outputs(model.double(), x.double())
    assert within_tolerance(relative_l2(got, want), relative_l2(plain, want))


@pytest.mark.parametrize("location", ["incre", ""])
def test_timm_features_only(location, make, randomize):
    theirs = timm.create_model(
        "hrnet_w18_small", features_only=True, feature_location=location, out_indices=(1, 2, 3, 4)
    )
    randomize(theirs, 1).double()
    ours = make("hrnet_w18_small.features", seed=2).double()
    report = load_weights(ours, theirs.state_dict())
    assert set(report.matched) == set(ours.state_dict())
    assert report.layout == ("timm" if location else "official")
    assert {key.split(".")[0] for key in report.dropped} == ({"incre_modules"} if location else set())
    if not location:
        x = torch.randn(1, 3, 64, 64, dtype=torch.double)
        assert_exact(outputs(ours, x), outputs(theirs, x))


def test_timms_features_are_loaded_whole_from_a_classifier(randomize):
    """All their weights are among the classifier's, those that increase channels too."""
    theirs = randomize(timm.create_model("hrnet_w18_small"), 1)
    features = randomize(timm.create_model("hrnet_w18_small", features_only=True), 2)
    report = load_weights(features, theirs.state_dict())
    assert not report.missing
    state = theirs.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in features.state_dict().items())
    report = load_weights(timm.create_model("hrnet_w18_small"), features.state_dict())
    assert {key.split(".")[0] for key in report.missing} == {"downsamp_modules", "final_layer", "classifier"}


def test_a_timm_model_without_a_last_layer_takes_a_classifiers_weights(randomize):
    theirs = randomize(timm.create_model("hrnet_w18_small"), 1)
    report = load_weights(timm.create_model("hrnet_w18_small", num_classes=0), theirs.state_dict())
    assert not report.missing and set(report.dropped) == {"classifier.weight", "classifier.bias"}


def test_our_weights_fit_a_timm_model(make, same_bits):
    theirs, source = timm.create_model("hrnet_w18_small"), make(CLS)
    assert load_weights(theirs, source.state_dict()).model == "HighResolutionNet"
    same_bits(dict(theirs.state_dict()), dict(source.state_dict()))
