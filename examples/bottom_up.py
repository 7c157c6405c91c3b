"""Everyone's keypoints, without boxes: python examples/bottom_up.py [PICTURE] [--weights FILE] [--model NAME]."""

import argparse

from hrnet_fast import BottomUpPoseEstimator
from hrnet_fast.synthetic import figure_scene
from hrnet_fast.tasks.bottom_up import draw

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("picture", nargs="?", help="by default a rendered one")
parser.add_argument("--weights", help="a checkpoint of any HRNet code base; without it the weights are random")
parser.add_argument("--model", default="hrnet_w32.pose_higher_coco_512x512")
parser.add_argument("--out", default="bottom_up.jpg")
args = parser.parse_args()

picture = args.picture
if picture is None:
    picture, _ = figure_scene(seed=1, people=3)

estimator = BottomUpPoseEstimator(args.model, args.weights)
if estimator.network.random_weights:
    print("no --weights were given, so they are random and the results mean nothing")
people = estimator(picture)
print(f"{len(people)} people")
for person in people[:10]:
    print(f"score {person.score:.2f}, {int((person.scores > 0).sum())} keypoints, box {[round(x) for x in person.box]}")
draw(picture, people).save(args.out)
