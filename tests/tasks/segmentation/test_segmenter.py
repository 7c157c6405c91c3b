"""The Segmenter against the official test on whole tensors, on ugly pictures, and by its memory."""

import math

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.peak_memory import PeakMemory
from hrnet_fast import create_model
from hrnet_fast.tasks.pixels import MEAN, STD
from hrnet_fast.tasks.segmentation import CITYSCAPES, LIP, ClassSet, Segmenter
from hrnet_fast.tasks.segmentation.labelling import View, label
from hrnet_fast.tasks.segmentation.protocol import NATIVE, PROTOCOLS, protocol_for
from hrnet_fast.tasks.segmentation.transforms import fit
from hrnet_fast.tasks.stages import Stages
from hrnet_fast.weights.random import fill_weights
from tests.tasks.segmentation import official

CITY, LIP_MODEL = "hrnet_w18_small.seg_cityscapes", "hrnet_w18_small.seg_lip"
CONTEXT, OCR = "hrnet_w18_small.seg_pascal_context59", "hrnet_w18_small.seg_ocr_cityscapes"


def picture(height, width, seed=0):
    """Smooth areas and noise, (H, W, 3) uint8."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.uniform(0, 255, (1, 3, 5, 6)).astype(np.float32))
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic")[0].permute(1, 2, 0).numpy()
    return (smooth + rng.normal(0, 12, (height, width, 3))).clip(0, 255).astype(np.uint8)


def lively(name):
    """A model whose classes share a picture among them: random ones tend to see one class everywhere."""
    model = create_model(name).eval()
    fill_weights(model)
    last = model.cls_head if hasattr(model, "cls_head") else model.last_layer[3]
    x = (torch.from_numpy(picture(64, 96)).permute(2, 0, 1)[None].float() / 255 - 0.45) / 0.225
    with torch.no_grad():
        logits = model(x)
        logits = logits[-1] if isinstance(logits, list) else logits
        gain = 3 / logits.std(dim=(0, 2, 3))
        last.weight *= gain[:, None, None, None]
        last.bias.copy_((last.bias - logits.mean(dim=(0, 2, 3))) * gain)
    return model


@pytest.fixture(scope="module")
def networks():
    models, made = {}, {}

    def make(name, **options):
        key = (name, *sorted(options.items()))
        if key not in made:
            if name not in models:
                models[name] = lively(name)
            made[key] = Segmenter(models[name], **options)
        return made[key]

    return make


CASES = {
    "cityscapes": (CITY, (64, 128), (64, 128), (1.0,), False),
    "cityscapes-another-shape": (CITY, (64, 128), (70, 90), (1.0,), True),
    "cityscapes-portrait": (CITY, (64, 128), (90, 60), (1.0,), False),
    "cityscapes-scales-flip": (CITY, (64, 128), (66, 130), (0.5, 0.75, 1.0, 1.25, 1.75), True),
    "ocr-flip": (OCR, (64, 96), (64, 96), (1.0,), True),
    "lip": (LIP_MODEL, (73, 73), (90, 51), (1.0,), False),
    "lip-flip": (LIP_MODEL, (73, 73), (61, 80), (1.0,), True),
    "lip-scales-windows": (LIP_MODEL, (73, 73), (90, 51), (0.75, 1.25), True),
    "context": (CONTEXT, (65, 65), (50, 67), (1.0,), False),
    "context-scales-windows": (CONTEXT, (65, 65), (75, 50), (0.5, 1.0, 1.5, 2.0), True),
}


@pytest.mark.parametrize("name", CASES)
def test_labels_are_those_of_the_official_test(name, networks):
    model, size, shape, scales, flip = CASES[name]
    segmenter = networks(model, size=size, scales=scales, flip_test=flip)
    image = picture(*shape)
    base, valid = fit(torch.from_numpy(image), segmenter.protocol)
    scores = official.scores(
        segmenter.network,
        np.ascontiguousarray(base[0].permute(1, 2, 0).numpy()),
        valid,
        shape,
        base=max(size),
        crop=size,
        scales=scales,
        flip=flip,
        mirror=list(segmenter.classes.mirror),
        align_corners=segmenter.align_corners,
        cityscapes=segmenter.classes is CITYSCAPES,
    ).numpy()
    got = segmenter(image).labels.numpy()
    assert got.shape == shape and got.dtype == np.uint8
    chosen = np.take_along_axis(scores, got[None].astype(np.int64), axis=0)[0]
    missed = 1 - chosen / scores.max(axis=0)  # scores are exponentials: this is a difference of logits
    assert missed.max() < 2e-4, "a label is not the largest score to within float32's rounding of the network"
    assert (got == scores.argmax(axis=0)).mean() > 0.999
    assert len(np.unique(got)) > 4, "the case shows nothing if few classes have it all"


def test_combining_logits_is_their_sum_up_sampled_once(networks):
    exp = networks(CITY, size=(64, 128), scales=(0.5, 1.0), flip_test=True)
    logits = networks(CITY, size=(64, 128), scales=(0.5, 1.0), flip_test=True, combine="logits")
    image = picture(64, 128)
    base, _ = fit(torch.from_numpy(image), logits.protocol)
    total = 0
    for size in ((32, 64), (64, 128)):
        view = torch.nn.functional.interpolate(base, size, mode="bilinear")
        both = logits.network(view) + logits.network(view.flip(3)).flip(3)
        total = total + torch.nn.functional.interpolate(0.5 * both, (64, 128), mode="bilinear")
    want = total[0].argmax(0)
    assert (logits(image).labels == want).float().mean() > 0.999
    assert (exp(image).labels == want).float().mean() < 1, "the two combinations are not the same thing"


def test_logits_of_more_views_than_eight_are_summed_at_their_own_sizes(networks):
    scales = tuple(torch.linspace(0.5, 1, 9).tolist())
    segmenter, image = networks(CITY, size=(64, 128), scales=scales, combine="logits"), picture(64, 128)
    base, _ = fit(torch.from_numpy(image), segmenter.protocol)
    total = 0
    for scale in scales:
        view = torch.nn.functional.interpolate(base, (int(64 * scale), int(128 * scale)), mode="bilinear")
        logits = torch.nn.functional.interpolate(segmenter.network(view), view.shape[2:], mode="bilinear")
        total = total + torch.nn.functional.interpolate(logits, (64, 128), mode="bilinear")
    assert (segmenter(image).labels == total[0].argmax(0)).float().mean() > 0.999


def test_native_takes_a_picture_in_one_piece_and_pads_it(networks):
    segmenter = networks(CITY, size="native")
    assert segmenter.protocol == NATIVE
    image = picture(45, 67)
    x = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    grey = torch.tensor([round(255 * m) for m in MEAN]).view(1, 3, 1, 1).expand(1, 3, 48, 72).clone().float()
    grey[:, :, :45, :67] = x
    grey = (grey / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    logits = torch.nn.functional.interpolate(segmenter.network(grey), (48, 72), mode="bilinear")[0, :, :45, :67]
    got = segmenter(image).labels
    assert got.shape == (45, 67)
    assert (got == logits.argmax(0)).float().mean() > 0.999


def test_ocr_answers_with_its_second_output(networks):
    segmenter = networks(OCR, size=(64, 96))
    image = picture(64, 96)
    base, _ = fit(torch.from_numpy(image), segmenter.protocol)
    first, second = segmenter.network(base)
    up = [
        torch.nn.functional.interpolate(x, (64, 96), mode="bilinear", align_corners=True)[0].argmax(0)
        for x in (first, second)
    ]
    got = segmenter(image).labels
    assert (got == up[1]).float().mean() > 0.999
    assert (got == up[0]).float().mean() < 0.9


def test_flip_exchanges_left_and_right_of_lip():
    mirror = LIP.mirror
    assert [LIP.names[mirror[c]] for c in (14, 15, 16, 17, 18, 19)] == [
        "right-arm", "left-arm", "right-leg", "left-leg", "right-shoe", "left-shoe",
    ]  # fmt: skip
    assert mirror[:14] == tuple(range(14))
    assert CITYSCAPES.mirror == tuple(range(19))


@pytest.mark.parametrize("size", ["native", (64, 96)], ids=["native", "evaluation"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 2), (33, 97)], ids=lambda s: f"{s[0]}x{s[1]}")
def test_pictures_of_any_shape_come_back_at_their_own_size(shape, size, networks):
    assert networks(CITY, size=size)(picture(*shape)).size == shape


@pytest.mark.parametrize("model", [CITY, LIP_MODEL, CONTEXT], ids=["cityscapes", "lip", "context"])
def test_a_scale_that_leaves_hardly_a_pixel(model, networks):
    assert networks(model, size=(64, 64), scales=(0.001, 1.0))(picture(40, 56)).size == (40, 56)


def test_a_batch_is_its_pictures_one_by_one(networks):
    segmenter = networks(CITY, size="native")
    images = [picture(40, 56, 1), picture(40, 56, 2), picture(56, 40, 3), picture(40, 56, 4)]
    together = segmenter.batch(images)
    assert [result.size for result in together] == [(40, 56), (40, 56), (56, 40), (40, 56)]
    for result, image in zip(together, images):
        assert (result.labels == segmenter(image).labels).float().mean() > 0.999
    assert segmenter.batch([]) == []


def test_a_long_batch_is_not_held_at_once(networks, monkeypatch):
    segmenter = networks(CITY, size="native")
    run, sizes = segmenter._logits, []

    def watched(images, stage):
        sizes.append(len(images))
        return run(images, stage)

    monkeypatch.setattr(segmenter, "_logits", watched)
    results = segmenter.batch([picture(16, 24, seed) for seed in range(35)])
    assert len(results) == 35 and sizes == [16, 16, 3]


def test_the_clock_names_the_stages(networks):
    stages = Stages()
    networks(CITY, size="native")(picture(32, 32), stages=stages)
    assert list(stages.seconds) == ["read", "prepare", "network", "labels"]


def test_sizes_and_scales_may_be_arrays():
    segmenter = Segmenter("hrnet_w18_small.seg_cityscapes", size=np.array([64, 96]), scales=torch.tensor([0.5, 1]))
    assert segmenter.protocol == Segmenter(
        "hrnet_w18_small.seg_cityscapes", size=(64, 96)
    ).protocol and segmenter.scales == (0.5, 1)


def test_more_classes_than_labels_tell_apart_are_refused_at_once():
    model = create_model("hrnet_w18_small", head="segmentation", num_outputs=257, upsample="bilinear")
    with pytest.raises(ValueError, match="has 257 outputs, and labels of 8 bits tell 256 classes apart"):
        Segmenter(model)


@pytest.mark.parametrize(
    ("palette", "mirrored", "sentence"),
    [
        (((0, 0, 0),), (), "own has 2 classes and 1 colours"),
        (((0, 0, 0), (0, 0, 300)), (), "a colour of own is not three numbers from 0 to 255"),
        (((0, 0, 0), (0, 0, 9)), ((0, 2),), r"own mirrors a class that is none of its 2: \(\(0, 2\),\)"),
    ],
    ids=["few", "bright", "mirror"],
)
def test_bad_class_sets_get_one_sentence(palette, mirrored, sentence):
    with pytest.raises(ValueError, match=sentence):
        ClassSet("own", ("a", "b"), palette, mirrored)


def test_twenty_outputs_of_a_model_for_cityscapes_are_not_those_of_lip():
    assert Segmenter(create_model("hrnet_w18_small.seg_cityscapes", num_outputs=20)).classes.name == "numbered"
    parts = create_model("hrnet_w18_small", head="segmentation", num_outputs=20, upsample="bilinear")
    assert Segmenter(parts).classes.name == "lip"


def test_a_model_of_other_classes_gets_numbered_ones_at_native_size():
    model = create_model("hrnet_w18_small", head="segmentation", num_outputs=7, upsample="bilinear")
    segmenter = Segmenter(model)
    assert segmenter.classes.names[6] == "class 6"
    assert segmenter.protocol == NATIVE
    own = ClassSet("own", tuple("abcdefg"), tuple((i, i, i) for i in range(7)))
    assert Segmenter(model, classes=own)(picture(32, 40)).class_names == tuple("abcdefg")
    with pytest.raises(ValueError, match="cityscapes has 19 classes, but .* has 7 outputs"):
        Segmenter(model, classes="cityscapes")
    with pytest.raises(ValueError) as caught:
        Segmenter(model, size=(64, 96))
    assert str(caught.value) == (
        "size (64, 96) scales pictures as an official test does, but the class set 'numbered' has none: give "
        'size="native"'
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"size": "huge"}, 'size \'huge\' is not known; give "official", "native" or (height, width)'),
        ({"size": 512}, 'size 512 is not known; give "official", "native" or (height, width)'),
        ({"size": (-1, 64)}, 'size (-1, 64) is not known; give "official", "native" or (height, width)'),
        ({"combine": "max"}, "combine 'max' is not known; choose one of exp, logits"),
        ({"scales": ()}, "scales () must be one or more finite numbers above 0"),
        ({"scales": (1, 0)}, "scales (1, 0) must be one or more finite numbers above 0"),
        ({"scales": (math.inf,)}, "scales (inf,) must be one or more finite numbers above 0"),
        ({"scales": 1.0}, "scales 1.0 must be one or more finite numbers above 0"),
        ({"classes": "ade"}, "there is no class set 'ade'; choose one of cityscapes, lip, pascal_context59, "
                             "pascal_context60"),
    ],
    ids=[
        "size", "one-number", "negative", "combine", "no-scales", "zero-scale", "endless-scale", "one-scale", "classes",
    ],
)  # fmt: skip
def test_unknown_options_get_one_sentence(options, sentence):
    with pytest.raises(ValueError) as caught:
        Segmenter(CITY, **options)
    assert str(caught.value) == sentence


def test_protocols_are_those_of_the_official_configs():
    assert PROTOCOLS["cityscapes"].size == (1024, 2048) and PROTOCOLS["cityscapes"].base == 2048
    assert PROTOCOLS["cityscapes"].view_size(1024, 2048, 1.0) == (1024, 2048)
    assert PROTOCOLS["cityscapes"].view_size(1024, 2048, 1.25) == (1280, 2560)
    windows = PROTOCOLS["cityscapes"].windows(1280, 2560, 1.25)
    assert windows == [(0, 0, 1024, 2048), (0, 512, 1024, 2048), (256, 0, 1024, 2048), (256, 512, 1024, 2048)]
    assert PROTOCOLS["lip"].windows(473, 473, 1.0) == [(0, 0, 473, 473)]
    assert PROTOCOLS["pascal_context59"].view_size(520, 696, 1.0) == (389, 520)
    assert PROTOCOLS["pascal_context59"].windows(389, 520, 1.0) == [(0, 0, 520, 520)]
    assert [w[:2] for w in PROTOCOLS["pascal_context59"].windows(777, 1040, 2.0)] == [
        (top, left) for top in (0, 346) for left in (0, 346, 692)
    ]
    assert protocol_for("lip", (64, 64)).base == 64


def test_huge_logits_do_not_overflow():
    logits = torch.randn(1, 5, 8, 8) * 10 + 100
    views = [View((32, 32), [((0, 0, 32, 32), logits)])]
    got = label(views, base=(32, 32), valid=(30, 31), target=(60, 62), exp=True, align_corners=False)[0]
    up = torch.nn.functional.interpolate(logits.double(), (32, 32), mode="bilinear").exp()[:, :, :30, :31]
    want = torch.nn.functional.interpolate(up, (60, 62), mode="bilinear")[0]
    assert want.max() > torch.finfo(torch.float32).max
    assert (got == want.argmax(0)).float().mean() > 0.999


def test_windows_that_are_not_evenly_apart_are_refused():
    views = [View((6, 8), [((top, 0, 2, 8), torch.zeros(1, 5, 1, 2)) for top in (0, 2, 5)])]
    with pytest.raises(ValueError) as caught:
        label(views, base=(6, 8), valid=(6, 8), target=(6, 8), exp=True, align_corners=False)
    assert str(caught.value) == "windows that start at [0, 2, 5] are not evenly apart from 0 on, but the last"


class _Largest(TorchDispatchMode):
    """The size in bytes of the largest tensor that any op makes."""

    bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(tensor, torch.Tensor):
                self.bytes = max(self.bytes, tensor.untyped_storage().nbytes())
        return result


@pytest.mark.parametrize("exp", [False, True], ids=["logits", "exp"])
def test_no_tensor_of_the_full_size_holds_logits(exp):
    classes, target = 19, (512, 1024)
    views = [
        View((int(512 * s), int(1024 * s)), [((0, 0, int(512 * s), int(1024 * s)), torch.randn(1, classes, *hw))])
        for s, hw in ((0.5, (64, 128)), (1.0, (128, 256)), (1.5, (192, 384)))
    ]
    full = 4 * classes * target[0] * target[1]
    with _Largest() as largest:
        labels = label(views, base=target, valid=target, target=target, exp=exp, align_corners=False)
    assert labels.shape == (1, *target)
    assert largest.bytes <= max(full / 4, labels.nbytes)


def test_a_small_picture_does_not_make_its_large_view_whole():
    view, target = (768, 1024), (75, 100)
    views = [View(view, [((0, 0, *view), torch.randn(1, 19, 192, 256))])]
    with _Largest() as largest:
        label(views, base=target, valid=target, target=target, exp=True, align_corners=False)
    assert largest.bytes < 4 * 19 * view[0] * view[1] / 8


def test_labelling_a_cityscapes_picture_adds_little_memory():
    logits = torch.randn(1, 19, 256, 512)
    views = [View((1024, 2048), [((0, 0, 1024, 2048), logits)])]
    for exp in (True, False):
        peak = PeakMemory(torch.device("cpu"))
        peak.building_done()
        labels = label(views, base=(1024, 2048), valid=(1024, 2048), target=(1024, 2048), exp=exp, align_corners=False)
        used = peak.bytes()
        if used is None:
            pytest.skip("this system does not tell a process's peak memory")
        assert used < 8 * labels.nbytes, "full-size logits would be 76 times the labels"
