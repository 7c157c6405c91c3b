"""Files that hold no network, or a damaged or forged one, end in one sentence."""

import copy
import json
import random

import pytest
import torch
from torch import nn

from hrnet_fast import load, save
from hrnet_fast.plan import PlanError
from hrnet_fast.weights import CheckpointError
from hrnet_fast.weights.files import read_safetensors, write_checkpoint


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.up = nn.ConvTranspose2d(4, 4, 4, 2, 1)

    def forward(self, x):
        y = self.up(self.norm(self.conv(x)).relu())
        y = torch.cat([y + torch.linspace(0, 1, y.shape[3]), y[..., :1].expand_as(y).contiguous()], 1)
        return {"map": y, "places": y.flatten(2).argmax(2)}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "net.safetensors"
    save(Small().eval(), path, (1, 3, 8, 8))
    tensors, texts = read_safetensors(path)
    return tensors, json.loads(texts["hrnet_fast"])


@pytest.fixture
def changed(written, tmp_path):
    """Writes a file whose header, or whose tensors, a function has changed."""

    def write(change, tensors=None):
        about = copy.deepcopy(written[1])
        change(about)
        path = tmp_path / "changed.safetensors"
        write_checkpoint(path, tensors or written[0], {"hrnet_fast": json.dumps(about)})
        return path

    return write


def test_weights_alone_are_no_network(written, tmp_path):
    write_checkpoint(tmp_path / "weights.safetensors", written[0])
    write_checkpoint(tmp_path / "weights.pth", written[0])
    with pytest.raises(CheckpointError, match="holds weights, but not what a network computes.* with load_weights"):
        load(tmp_path / "weights.safetensors")
    with pytest.raises(CheckpointError, match="is no safetensors file, which alone can hold more than weights"):
        load(tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match="no such file"):
        load(tmp_path / "nothing.safetensors")


def test_another_version_is_named(changed):
    with pytest.raises(CheckpointError, match=r"written by another version of hrnet_fast \(format 2, here 1\): use"):
        load(changed(lambda about: about.update(format=2)))


def nested_lists(depth):
    return [nested_lists(depth - 1)] if depth else []


def nodes(about):
    return about["calls"][0]["graph"]["Graph"]["nodes"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda about: about.pop("calls"), "'calls'"),
        (lambda about: about["calls"].clear(), "no inputs that it takes"),
        (lambda about: about.update(token=[1]), "a token that is no text"),
        (lambda about: about["keys"].append("nothing"), "'nothing'"),
        (lambda about: about["keys"].append("conv"), "'conv'"),
        (lambda about: about["keys"].append("forward.weight"), "'forward.weight'"),
        (lambda about: about["same"].update({"conv.weight": "nothing"}), "'nothing'"),
        (lambda about: about.update(config={"HRNetConfig": {"name": "hrnet_w18"}}), "a HRNetConfig with other parts"),
        (lambda about: about.update(config=nested_lists(300)), "a config that is a tuple"),
        (lambda about: about.update(config="hrnet_w18"), "a config that is a str"),
        (lambda about: about["calls"][0].update(results=-1), "-1"),
        (lambda about: about["calls"][0].update(results={"list": [99]}), "99"),
        (lambda about: about["calls"][0].update(results={"os": [0]}), "'os'"),
        (lambda about: about["calls"][0].update(inputs="__import__('os')"), "malformed node"),
        (lambda about: about["calls"][0].update(graph={"Graph": {}}), "a Graph with other parts"),
        (lambda about: about["calls"][0].update(graph={"eval": ["1"]}), "a eval that is not known"),
        (lambda about: nodes(about)[1]["Node"].update(inputs=[7]), "operation 1 reads what comes after it"),
        (lambda about: nodes(about)[1]["Node"].update(inputs=[-1]), "operation 1 reads what comes after it"),
        (
            lambda about: nodes(about)[1]["Node"]["detail"]["Convolution"].update(more=1),
            "a Convolution with other parts",
        ),
        (lambda about: nodes(about)[-1]["Node"].update(op="exec", detail=None), "operation 12, which is not known"),
    ],
)
def test_a_forged_header_is_refused(changed, change, reason):
    with pytest.raises(
        CheckpointError, match=rf"is damaged: its header is not that of a network \({reason}"
    ) as refused:
        load(changed(change))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda about: nodes(about)[1]["Node"]["detail"]["Convolution"].update(weight="nothing"),
        lambda about: nodes(about)[1]["Node"]["detail"]["Convolution"].update(stride=[0, 0]),
        lambda about: nodes(about)[-1]["Node"]["detail"]["Call"].update(function="os.system"),
    ],
)
def test_a_forged_operation_is_refused(changed, change):
    with pytest.raises(PlanError, match="^SavedNetwork.forward cannot be planned: ") as refused:
        load(changed(change))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("inputs", [[], [0, 1]])
def test_an_operation_of_too_few_or_too_many_maps_is_refused(changed, inputs):
    def change(about):
        relu = next(node["Node"] for node in nodes(about) if node["Node"]["op"] == "relu")
        relu.update(inputs=inputs)

    with pytest.raises(PlanError, match=r"^operation \d+ cannot be computed: .* \(in SavedNetwork.forward\)$"):
        load(changed(change))


@pytest.mark.parametrize(("function", "args"), [("full", [[1 << 40], 1.0]), ("linspace", [0, 1, 1 << 40])])
def test_an_operation_that_takes_all_memory_is_refused(changed, function, args):
    call = {"Call": {"function": f"torch.{function}", "args": args}}
    with pytest.raises(PlanError, match=f"^torch.{function} makes {1 << 40} numbers, but may make {1 << 28}"):
        load(changed(lambda about: nodes(about)[-1]["Node"].update(detail=call)))


def test_tensors_of_other_shapes_are_refused(written, changed):
    for key, tensor in written[0].items():
        if tensor.dim():
            forged = {**written[0], key: torch.ones(tensor.numel() + 1)}
            with pytest.raises(PlanError, match=f"{key.split('.')[0]}|SavedNetwork.forward cannot be planned"):
                load(changed(lambda about: None, forged))


def places(part, found):
    """Every place of a JSON value, as (container, key)."""
    for key in part if isinstance(part, dict) else range(len(part)):
        found.append((part, key))
        if isinstance(part[key], (dict, list)):
            places(part[key], found)
    return found


def test_headers_altered_at_random_end_in_one_sentence_or_in_a_network(changed):
    draw = random.Random(0)
    loaded = 0

    def alter(about):
        found = places(about, [])
        for _ in range(draw.choice((1, 1, 2))):
            container, key = draw.choice(found)
            other, place = draw.choice(found)
            container[key] = draw.choice((None, 0, 1, -1, 3, 2.5, "", "x", [], {}, True, other[place]))

    for _ in range(150):
        try:
            network = load(changed(alter), executor="reference")
            network(*[torch.zeros(1, 3, 8, 8)])
            loaded += 1
        except (ValueError, TypeError) as error:
            assert str(error) and "\n" not in str(error)
    assert loaded < 100
