"""Which kernels may be chosen, what a cache is asked for, and when one thing is faster than another."""

import json
from dataclasses import asdict, replace

import pytest
import torch

from hrnet_fast import create_model
from hrnet_fast.engine.cpu.choices import GROUPS, Choices, candidates, from_entry
from hrnet_fast.engine.cpu.conv_kernels import AS_GOOD, DIRECT, LARGE, Kernel, Shape, choose, group, weights, work
from hrnet_fast.engine.cpu.cpu_key import CpuKey, cpu_key
from hrnet_fast.engine.executors import native
from hrnet_fast.engine.tuning.cache import TuningCache, parse
from hrnet_fast.engine.tuning.duel import ROUNDS, WINS, duel
from hrnet_fast.plan import Conv, inference_view, make_plan
from hrnet_fast.processor import available_cores

NO_NATIVE = native.unsupported()
needs_native = pytest.mark.skipif(NO_NATIVE is not None, reason=str(NO_NATIVE))
KEY = CpuKey("Intel(R) Xeon(R) Processor", "avx512", 2, "0.1.0", "0123456789abcdef")
SHAPE = Shape(18, (1, 18, 16, 12), (2, 4))
SMALL = "hrnet_w18_small.pose_coco_256x192"


@pytest.mark.parametrize(
    ("size", "sizes", "default", "others"),
    [
        ((1, 1), (2, 4), Kernel(4, 48), [DIRECT, Kernel(2, 20)]),
        ((16, 12), (2,), DIRECT, [Kernel(2, group) for group in (20, 12, 24, 48)]),
        ((16, 13), (4,), Kernel(4, 96), [DIRECT, Kernel(4, 12)]),
        ((64, 48), (2, 4), Kernel(2, 36), [DIRECT, *(Kernel(m, group) for m in (2, 4) for group in (20, *GROUPS))]),
    ],
    ids=["one-tile", "48-tiles", "16-tiles", "many"],
)
def test_what_would_play_the_same_is_tried_once(monkeypatch, size, sizes, default, others):
    monkeypatch.setattr("hrnet_fast.engine.cpu.choices.group", lambda *_: 20)  # as many as the model has
    assert candidates(Shape(18, (1, 18, *size), sizes), default, 16) == [default, *others]


@pytest.mark.parametrize(
    ("entry", "kernel"),
    [
        ({"kernel": {"m": 4, "group": 12}, "us": 1.0}, Kernel(4, 12)),
        ({"kernel": {"m": 0, "group": 0}}, DIRECT),
        ({"kernel": {"m": 6, "group": 12}}, None),
        ({"kernel": {"m": 2, "group": 10**9}}, None),
        ({"kernel": {"m": 2, "group": -1}}, None),
        ({"kernel": {"m": 2, "group": 12.0}}, None),
        ({"kernel": {"m": True, "group": 12}}, None),
        ({"kernel": {"m": 0, "group": 12}}, None),
        ({"kernel": {"m": 2}}, None),
        ({"kernel": [2, 12]}, None),
        ({}, None),
        (None, None),
    ],
    ids=["good", "direct", "m", "group", "negative", "float", "bool", "direct-group", "part", "list", "empty", "none"],
)
def test_an_entry_counts_where_it_fits(entry, kernel):
    assert from_entry(entry, SHAPE) == kernel


def test_f4_is_refused_where_the_plan_is_too_shallow_for_it():
    assert from_entry({"kernel": {"m": 4, "group": 12}}, replace(SHAPE, sizes=(2,))) is None


@pytest.mark.parametrize("batch", [1, 16])
@pytest.mark.parametrize("width", [18, 32, 48])
@pytest.mark.parametrize("size", [(56, 56), (64, 48), (96, 72), (128, 256)], ids=str)
def test_the_model_chooses_a_quick_kernel_of_few_weights(width, size, batch):
    for branch in range(4):
        channels, (height, across) = width << branch, (side >> branch for side in size)
        shape = Shape(channels, (batch, channels, height, across), (2, 3, 4))
        chosen = choose(shape, 16)
        others = [DIRECT, *(Kernel(m, group(m, shape, 16)) for m in shape.sizes)]
        times = {kernel: work(kernel, shape, 16) for kernel in others}
        kept = {kernel: weights(kernel, channels, channels) for kernel in others}
        assert times[chosen] <= AS_GOOD * min(times.values())
        assert kept[chosen] <= max(LARGE, 9 * channels**2)
        assert all(time >= times[chosen] for kernel, time in times.items() if kept[kernel] <= kept[chosen])


def test_signatures_tell_shapes_apart():
    others = [
        replace(SHAPE, inputs=36), replace(SHAPE, sizes=(2,)), replace(SHAPE, out=(2, 18, 16, 12)),
        replace(SHAPE, out=(1, 36, 16, 12)), replace(SHAPE, out=(1, 18, 12, 16)),
    ]  # fmt: skip
    assert len({shape.signature for shape in (SHAPE, *others)}) == 6


def test_the_key_names_processor_instructions_threads_and_version():
    assert KEY.file_name == "Intel-R--Xeon-R--Processor_avx512_2threads_hrnet_fast0.1.0_0123456789ab.json"
    assert parse(json.dumps({"format": 1, "device": asdict(KEY)}).encode(), CpuKey) == (KEY, {"kernels": {}})


@needs_native
def test_the_key_counts_the_cores_that_can_play():
    cores = available_cores()
    one, many = cpu_key("avx512", 1), cpu_key("avx512", 10 * cores)
    assert (one.threads, many.threads, many.isa) == (1, cores, "avx512")
    assert one.cpu and len(one.extension) == 64


@pytest.mark.parametrize(
    ("old", "new", "gained"),
    [
        ([2.0] * ROUNDS, [1.0] * ROUNDS, True),
        ([1.0] * ROUNDS, [2.0] * ROUNDS, False),
        ([1.005] * ROUNDS, [1.0] * ROUNDS, False),
        ([1.0] * (ROUNDS - WINS) + [2.0] * WINS, [1.5] * ROUNDS, True),
        ([1.0] * (ROUNDS - WINS + 1) + [2.0] * (WINS - 1), [1.5] * ROUNDS, False),
    ],
    ids=["faster", "slower", "hardly", "nine-of-eleven", "eight-of-eleven"],
)
def test_a_duel_is_won_by_more_than_the_noise(old, new, gained):
    old_times, new_times = iter(old), iter(new)
    assert duel(lambda: next(old_times), lambda: next(new_times)).gained is gained


def test_in_a_duel_the_first_turn_alternates():
    turns = []
    duel(lambda: turns.append("old") or 1.0, lambda: turns.append("new") or 1.0)
    assert turns[:4] == ["new", "old", "old", "new"] and len(turns) == 2 * ROUNDS


def test_exact_takes_nothing_from_the_cache(tmp_path):
    cache = TuningCache(tmp_path)
    cache.put(KEY, "kernels", SHAPE.signature, {"kernel": Kernel(4, 12).as_entry()})
    plan = make_plan(inference_view(create_model(SMALL)), torch.empty(1, 3, 64, 64, device="meta"))
    convs = [item for item in plan.items() if isinstance(item, Conv)]
    exact = Choices(16, True, cache, KEY).of(plan)
    assert all(exact(item) == DIRECT and not exact(item).tuned for item in convs)
