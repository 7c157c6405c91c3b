"""Objects and their boxes: python examples/detection.py [PICTURE] [--weights FILE] [--model NAME]; else a drawn one."""

import argparse

from hrnet_fast import Detector
from hrnet_fast.synthetic import figure_scene
from hrnet_fast.tasks.detection import draw

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("picture", nargs="?")
parser.add_argument("--weights", help="a checkpoint of mmdetection's; without it the weights are random")
parser.add_argument("--model", default="hrnet_w32.faster_rcnn_coco")
parser.add_argument("--out", default="detection.jpg")
args = parser.parse_args()

picture = args.picture
if picture is None:
    picture, _ = figure_scene(seed=1, people=3)

detector = Detector(args.model, args.weights)
if detector.network.random_weights:
    print("no --weights were given, so they are random and the results mean nothing")
objects = detector(picture)
for found in objects[:10]:
    x, y, width, height = found.box
    print(f"{found.label} {found.score:.2f}: {width:.0f} x {height:.0f} pixels at ({x:.0f}, {y:.0f})")
draw(picture, objects).save(args.out)
