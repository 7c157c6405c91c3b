"""Trains a small HRNet on drawn people and makes it fast: python examples/training.py [--minutes M] [--out DIR]

1. `Crops` are the data: people of `hrnet_fast.synthetic`, cut out as the estimator cuts them, but turned, resized and
   mirrored at random, and the heatmaps that the network shall answer. Replace this class to train on your own.
2. `train` is plain torch, since `create_model` gives a plain module. Interrupted, it goes on from DIR/state.pt.
3. `compare` tells, on unseen pictures, the AP, time and error of the module in torch and in hrnet_fast.
4. `deploy` is all that remains to do elsewhere; DIR/pose.jpg shows the truth above what the fast network finds.

Crops, heatmaps and loss are those of the official pose repository (lib/dataset/JointsDataset.py, lib/core/loss.py).
"""

import argparse
import math
import time
from collections import deque
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

import hrnet_fast
from hrnet_fast.kernels import affine_crop
from hrnet_fast.synthetic import figure_scene, write_coco
from hrnet_fast.tasks.pixels import MEAN, STD
from hrnet_fast.tasks.pose import COCO, CocoKeypoints, Person, PoseEstimator, draw, evaluate
from hrnet_fast.tasks.pose.affine import crop_matrices
from hrnet_fast.tasks.pose.boxes import Regions, regions_of
from hrnet_fast.timing import interleave

MODEL, LR = "hrnet_w18_small.pose_coco_256x192", 1.5e-3
STAGES = (((128, 96), 0.4), ((256, 192), 1.0))  # height and width of the crops, until which share of the training
PICTURES, CROPS = 4, 8  # pictures a step, crops a picture
SCALE, TURN = 0.35, 45  # how much people are resized, and turned, in degrees (SCALE_FACTOR, ROT_FACTOR)
SIGMA = 2  # of the heatmaps' Gaussians, in their pixels
UNSEEN = 1_000_003  # where `write_coco` of seed 1 begins; the training's pictures begin at 0


class Crops(Dataset):
    """Of picture `index`: crops (CROPS, 3, h, w), heatmaps (CROPS, 17, h/4, w/4) and weights of joints (CROPS, 17)."""

    def __init__(self, size: tuple[int, int]):
        self.size = size  # (h, w)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        picture, people = figure_scene(index, crowds=False)
        people = [person for person in people if person.num_keypoints]
        if not people:
            return self[index + 10**9]
        rng = torch.Generator().manual_seed(index)
        chosen = [people[i] for i in torch.randint(len(people), (CROPS,), generator=rng)]
        joints = torch.stack([torch.from_numpy(person.keypoints) for person in chosen])  # (CROPS, 17, 3)
        height, width = self.size
        regions = regions_of(torch.tensor([person.box for person in chosen]).double(), width / height)
        scales = 1 + (SCALE * torch.randn(CROPS, 1, generator=rng)).clamp(-SCALE, SCALE)
        matrices = crop_matrices(Regions(regions.centers, regions.sizes * scales), self.size)  # (CROPS, 2, 3)

        angles = (TURN * torch.randn(CROPS, generator=rng)).clamp(-2 * TURN, 2 * TURN).deg2rad().double()
        angles *= torch.rand(CROPS, generator=rng) < 0.6
        mirrored = torch.rand(CROPS, generator=rng) < 0.5
        cos, sin, sign = angles.cos(), angles.sin(), 1 - 2 * mirrored.double()
        turns = torch.stack((sign * cos, -sign * sin, sin, cos), 1).view(CROPS, 2, 2)
        middle = torch.tensor([[width / 2], [height / 2]])
        matrices = torch.cat((turns @ matrices[..., :2], turns @ (matrices[..., 2:] - middle) + middle), 2)
        joints[mirrored] = joints[mirrored][:, COCO.swap]
        points = joints[..., :2] @ matrices[..., :2].mT + matrices[:, None, :, 2]  # (CROPS, 17, 2), the crops' pixels
        crops = affine_crop(torch.from_numpy(picture), matrices, self.size, MEAN, STD)
        return crops, *heatmaps(points / 4, joints[..., 2] > 0, (height // 4, width // 4))


def heatmaps(points: Tensor, marks: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Gaussians (N, K, h, w) about points (N, K, 2), and weights (N, K): 0 for what is not marked or not in the map."""
    x, y = ((torch.arange(size[1 - axis]) - (points[..., axis, None] + 0.5).floor()).abs() for axis in (0, 1))
    across, down = (torch.exp(-(d**2) / (2 * SIGMA**2)) * (d <= 3 * SIGMA) for d in (x, y))  # (N, K, w), (N, K, h)
    maps = (down[..., :, None] * across[..., None, :]).float()
    return maps, (marks & (maps.amax((2, 3)) > 0)).float()


def joined(parts: list[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    return tuple(torch.cat(tensors) for tensors in zip(*parts))


def train(model: torch.nn.Module, args: argparse.Namespace) -> None:
    """Trains for args.steps, or for args.minutes where these are over before; saves its state now and then."""
    model.to(memory_format=torch.channels_last).train()
    for parameter in model.parameters():
        if parameter.dim() == 4:
            torch.nn.init.normal_(parameter, std=0.001)  # as init_weights of the official lib/models/pose_hrnet.py
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR)
    path, step, seconds = args.out / "state.pt", 0, 0.0
    if path.exists():
        states, step, seconds = torch.load(path)
        model.load_state_dict(states[0])
        optimizer.load_state_dict(states[1])
    done = max(step / args.steps, seconds / 60 / args.minutes)
    unexplained = deque(maxlen=100)  # the loss in parts of that of empty heatmaps: 1 has learnt nothing, 0 everything
    with tqdm(total=args.steps, initial=step, unit="step") as bar:
        for size, until in STAGES:
            rest = range(step * PICTURES, args.steps * PICTURES)
            batches = DataLoader(Crops(size), PICTURES, sampler=rest, num_workers=args.workers, collate_fn=joined)
            start = time.perf_counter() - seconds
            for crops, wanted, weights in batches if done < until else ():
                optimizer.param_groups[0]["lr"] = LR * (1 + math.cos(math.pi * done)) / 2
                with torch.autocast("cpu", torch.bfloat16, enabled=args.bfloat16):
                    maps = model(crops.contiguous(memory_format=torch.channels_last))
                weights = weights[..., None, None]
                loss = ((maps.float() - wanted) * weights).square().mean() / 2  # JointsMSELoss
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                step, seconds = step + 1, time.perf_counter() - start
                done = max(step / args.steps, seconds / 60 / args.minutes)
                unexplained.append(2 * loss.item() / (wanted * weights).square().mean().item())
                bar.set_postfix_str(f"{size[0]}x{size[1]}, unexplained {sum(unexplained) / len(unexplained):.3f}")
                bar.update()
                if step % 100 == 0 or done >= until:
                    torch.save(((model.state_dict(), optimizer.state_dict()), step, seconds), path)
                if done >= until:
                    break
    print(f"trained on {step * PICTURES} generated pictures in {step} steps and {seconds / 60:.0f} minutes")


def compare(model: torch.nn.Module, args: argparse.Namespace) -> None:
    """AP on unseen pictures by the official protocol, time of a crop, and error against float64."""
    dataset = CocoKeypoints(write_coco(args.out / "coco", args.pictures, seed=1), boxes="annotations")
    crops = Crops(STAGES[-1][0])[UNSEEN][0]  # (CROPS, 3, h, w)
    model.eval().device = crops.device  # which the estimator asks of its network
    fast, half = hrnet_fast.optimize(model), hrnet_fast.optimize(model, dtype=torch.bfloat16)
    networks = {"torch, float32": model, "hrnet_fast, float32": fast, "hrnet_fast, bfloat16": half}
    with torch.no_grad():
        times = interleave({name: partial(network, crops[:1]) for name, network in networks.items()}, budget_s=1)
    print(f"{'':<20}{'AP':>8}{'AP75':>8}{'ms a crop':>11}{'error':>9}{'torch':>9}  at most 2x")
    for name, network in networks.items():
        estimator = PoseEstimator(model)
        estimator.network.module = network  # the same protocol, whichever network answers
        with tqdm(total=args.pictures, unit="picture", leave=False) as bar:
            scores = evaluate(estimator, dataset, progress=bar.update).metrics
        row = f"{name:<20}{scores['AP']:>8.2f}{scores['AP75']:>8.2f}{times[name].microseconds(50) / 1000:>11.2f}"
        if network is not model:
            found = hrnet_fast.verify(model, network, crops).outputs[0]
            row += f"{found.error:>9.1e}{found.error_torch:>9.1e}  {'passed' if found.passed else 'FAILED'}"
        print(row)


def deploy(weights: Path, path: Path) -> None:
    """Three unseen pictures: the truth above what the fast network finds."""
    estimator = PoseEstimator(MODEL, weights)
    sheet = Image.new("RGB", (1200, 603), "white")
    for column in range(3):
        picture, people = figure_scene(UNSEEN + column, crowds=False)
        truth = []
        for person in people:
            x, y, mark = torch.from_numpy(person.keypoints).float().unbind(1)
            truth.append(Person(torch.stack((x, y), 1), mark.sign(), 1.0, person.box, 1.0, "given", COCO))
        found = estimator(picture, [person.box for person in people])
        for row, shown in enumerate((truth, found)):
            sheet.paste(draw(picture, shown).resize((398, 299)), (401 * column, 304 * row))
    sheet.save(path, quality=85, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=4000, help=f"each of {PICTURES * CROPS} crops")
    parser.add_argument("--minutes", type=float, default=60, help="after which the training ends, if not before")
    parser.add_argument("--bfloat16", action="store_true", help="train in mixed precision, where a CPU is fast at it")
    parser.add_argument("--pictures", type=int, default=200, help="unseen ones for the AP")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw")
    parser.add_argument("--out", type=Path, default=Path("training"))
    args = parser.parse_args()
    if args.steps < 1 or args.minutes <= 0:
        parser.error("there must be at least one step, and some time for it: see --steps and --minutes")
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    network = hrnet_fast.create_model(MODEL)
    train(network, args)
    hrnet_fast.save_weights(network, args.out / "pose.safetensors")
    compare(network, args)
    deploy(args.out / "pose.safetensors", args.out / "pose.jpg")


if __name__ == "__main__":
    main()
