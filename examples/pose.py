"""Keypoints of people: python examples/pose.py [PICTURE] [--weights FILE] [--model NAME]; by default a rendered one."""

import argparse

from hrnet_fast import PoseEstimator
from hrnet_fast.synthetic import figure_scene
from hrnet_fast.tasks.pose import draw

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("picture", nargs="?")
parser.add_argument("--weights", help="a checkpoint of any HRNet code base; without it the weights are random")
parser.add_argument("--model", default="hrnet_w32.pose_coco_256x192")
parser.add_argument("--out", default="pose.jpg")
args = parser.parse_args()

picture, boxes = args.picture, None  # without boxes the whole picture is one person
if picture is None:
    picture, truths = figure_scene(seed=1, people=3)
    boxes = [truth.box for truth in truths]

estimator = PoseEstimator(args.model, args.weights)
if estimator.network.random_weights:
    print("no --weights were given, so they are random and the results mean nothing")
people = estimator(picture, boxes)
for person in people:
    x, y = person.keypoints[0].tolist()
    print(f"score {person.score:.2f}, {person.skeleton.keypoints[0]} at ({x:.1f}, {y:.1f})")
draw(picture, people).save(args.out)
