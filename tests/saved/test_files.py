"""The files of networks: what they may be saved for, where they can be read, and what is refused."""

import collections
import subprocess
import sys
import textwrap

import pytest
import torch
from torch import nn

import hrnet_fast
from hrnet_fast import create_model, load, load_weights, optimize, save
from tests.golden import fill
from tests.networks import SMALL
from tests.plan.test_adaptive import Keypoints
from tests.saved.round_trips import equal, round_trip, timm_model


class Sum(nn.Conv2d):
    def forward(self, a, b):
        return super().forward(a) + b


def test_an_example_may_be_shapes(path):
    model = Sum(3, 4, 1)
    save(model, path, ((1, 3, 8, 8), torch.zeros(1, 4, 1, 1)))
    a, b = torch.randn(2, 3, 8, 8), torch.randn(2, 4, 1, 1)
    assert torch.equal(load(path).original(a, b), model(a, b))
    with pytest.raises(TypeError, match="an example holds tensors, shapes .* and None, not a str"):
        save(model, path, ((1, 3, 8, 8), "1x4x1x1"))


@torch.no_grad()
def test_it_takes_each_size_that_it_was_saved_for(pose, path):
    fast = round_trip(optimize(pose), path, torch.rand(1, 3, 64, 96), (2, 3, 32, 32))
    for shape in ((1, 3, 64, 96), (4, 3, 32, 32)):
        x = torch.randn(shape)
        assert equal(fast.original(x), pose(x))
    said = r"was saved for inputs of \(N, 3, 64, 96\), or \(N, 3, 32, 32\), but gets \(1, 3, 64, 64\): .* save it with"
    with pytest.raises(ValueError, match=said):
        fast(torch.randn(1, 3, 64, 64))
    with pytest.raises(ValueError, match="but gets"):
        fast(torch.randn(1, 3, 64, 96), None)


def test_without_an_example_it_takes_the_size_of_its_config(pose, path):
    fast = round_trip(pose, path)
    assert fast.original.config == pose.config
    assert fast(torch.zeros(1, 3, 256, 192)).shape == (1, 17, 64, 48)


def test_saved_again_it_keeps_all_its_sizes(path, tmp_path):
    save(nn.Conv2d(3, 4, 3), path, (1, 3, 8, 8), (1, 3, 6, 9))
    save(load(path), tmp_path / "again.safetensors")
    again = load(tmp_path / "again.safetensors")
    assert again(torch.zeros(2, 3, 6, 9)).shape == (2, 4, 4, 7)


class Mixing(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3, 1, 1))

    def forward(self, x):
        return x * self.scale if x.shape[0] == 1 else x - x.mean(0, keepdim=True)


def test_a_network_that_depends_on_the_batch_is_saved_for_one(path):
    with pytest.warns(
        UserWarning, match=r"saved for inputs of \(2, 3, 8, 8\) alone: its operations depend on the batch"
    ):
        fast = round_trip(Mixing(), path, (2, 3, 8, 8))
    x = torch.randn(2, 3, 8, 8)
    assert equal(fast(x), Mixing()(x))
    with pytest.raises(ValueError, match=r"saved for inputs of \(2, 3, 8, 8\), but gets \(1, 3, 8, 8\)"):
        fast(x[:1])


class UpToEight(nn.Conv2d):
    def forward(self, x):
        return super().forward(x) * min(len(x), 8)


def test_more_images_than_the_example_s_are_looked_at(path):
    with pytest.warns(UserWarning, match=r"saved for inputs of \(8, 3, 8, 8\) alone"):
        save(UpToEight(3, 4, 1), path, (8, 3, 8, 8))


class Scaled(nn.Conv2d):
    def forward(self, x):
        return super().forward(x) * self.bias.detach().abs().max().item() * (2 if self.weight[0, 0, 0, 0] > 9 else 1)


def test_numbers_that_a_forward_reads_are_told_of(path):
    with pytest.warns(UserWarning, match="asks for numbers of 'bias', 'weight' when .* are loaded later") as told:
        save(Scaled(3, 4, 1), path, (1, 3, 8, 8))
    assert [str(warning.filename) for warning in told] == [__file__]


def test_the_file_is_a_checkpoint_too(pose, path):
    save(pose, path, (1, 3, 64, 64))
    other = create_model(f"{SMALL}.pose_coco_256x192")
    load_weights(other, path)
    assert equal(dict(other.state_dict()), dict(pose.state_dict()))


def test_a_task_takes_a_loaded_network(pose, path):
    pytest.importorskip("cv2")
    picture = torch.randint(0, 256, (300, 200, 3), dtype=torch.uint8).numpy()
    (one,), (other,) = (hrnet_fast.PoseEstimator(net)(picture) for net in (pose, round_trip(pose, path)))
    assert one.keypoints.tolist() == other.keypoints.tolist()
    save(pose, path, (1, 3, 64, 64))
    for name in (path, str(path)):
        network = hrnet_fast.PoseEstimator(name).network
        assert network.input_size == (64, 64) and not network.random_weights


PROGRAM = """
    import sys, torch, hrnet_fast
    net, program, x, expected = sys.argv[1:]
    x, expected = torch.load(x), torch.load(expected)
    for name in ("timm", "tests"):
        sys.modules[name] = None  # as if it were not installed
    fast = hrnet_fast.load(net)
    assert torch.equal(fast(x), expected)
    assert torch.equal(torch.export.load(program).module()(x), expected + 1)
"""


class PlusOne(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x) + 1


@torch.no_grad()
def test_another_process_needs_no_code_of_the_model(path, tmp_path):
    fast = optimize(timm_model().eval(), example=torch.empty(1, 3, 64, 64))
    x = torch.randn(2, 3, 64, 64)
    save(fast, path, x)
    torch.export.save(torch.export.export(PlusOne(fast), (x,)), tmp_path / "program.pt2")
    torch.save(x, tmp_path / "x.pt")
    torch.save(fast(x), tmp_path / "expected.pt")
    given = [str(tmp_path / name) for name in ("net.safetensors", "program.pt2", "x.pt", "expected.pt")]
    subprocess.run([sys.executable, "-c", textwrap.dedent(PROGRAM), *given], check=True, timeout=300)


LOAD = """import sys, torch, hrnet_fast
x, expected = map(torch.load, sys.argv[2:])
assert torch.equal(hrnet_fast.load(sys.argv[1])(x), expected)"""


def test_another_process_knows_torchvisions_operation(path, tmp_path):
    model, x = fill(Keypoints()).eval(), torch.randn(2, 3, 14, 18)
    fast = round_trip(model, path, x)
    torch.save(x, tmp_path / "x.pt")
    torch.save(fast(x), tmp_path / "expected.pt")
    given = (path, tmp_path / "x.pt", tmp_path / "expected.pt")
    subprocess.run([sys.executable, "-c", LOAD, *given], check=True, timeout=300)


def test_what_is_no_list_of_results_is_refused(path):
    class Named(nn.Module):
        def forward(self, x):
            return collections.namedtuple("Output", "map")(x * 2)

    class Paired(nn.Module):
        def forward(self, x):
            return {(0, 1): x * 2}

    with pytest.raises(ValueError, match="Named cannot be saved: the results are nested in a Output"):
        save(Named(), path, (1, 3, 8, 8))
    with pytest.raises(ValueError, match="Paired .* in a dict whose keys are neither text nor whole numbers"):
        save(Paired(), path, (1, 3, 8, 8))
    assert not path.exists()
    with pytest.raises(TypeError, match=r"save takes an nn.Module, not str"):
        save("net", path)


def test_where_it_cannot_be_written_is_told(pose, tmp_path):
    with pytest.raises(hrnet_fast.weights.CheckpointError, match="a network is saved to a .safetensors file"):
        save(pose, tmp_path / "net.pth")
    with pytest.raises(hrnet_fast.weights.CheckpointError, match="cannot write .*no such file or directory"):
        save(pose, tmp_path / "nowhere" / "net.safetensors", (1, 3, 64, 64))
    with pytest.raises(ValueError, match="'gpu' is no device: use cpu, cuda or cuda:1"):
        load(tmp_path / "nothing.safetensors", device="gpu")
    with torch.device("meta"):
        empty = create_model(f"{SMALL}.pose_coco_256x192")
    with pytest.raises(ValueError, match="'conv1.weight' is on the meta device, without numbers to save"):
        save(empty, tmp_path / "net.safetensors", (1, 3, 64, 64))
    assert not list(tmp_path.iterdir())
