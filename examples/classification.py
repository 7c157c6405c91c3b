"""What a picture shows: python examples/classification.py [PICTURE] [--weights FILE] [--names FILE] [--model NAME]."""

import argparse

from hrnet_fast import Classifier
from hrnet_fast.synthetic import figure_scene
from hrnet_fast.tasks.classification import draw

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("picture", nargs="?", help="default: a rendered one")
parser.add_argument("--weights", help="a checkpoint of any HRNet code base; without it the weights are random")
parser.add_argument("--names", help="what the classes are called, one a line")
parser.add_argument("--model", default="hrnet_w18.cls_in1k")
parser.add_argument("--out", default="classification.jpg")
args = parser.parse_args()

picture = args.picture if args.picture else figure_scene(seed=2)[0]
classifier = Classifier(args.model, args.weights, names=args.names)
if classifier.network.random_weights:
    print("no --weights were given, so they are random and the results mean nothing")
classes = classifier(picture, top=5)
for entry in classes:
    print(f"{entry.label}: {entry.probability:.1%}")
draw(picture, classes).save(args.out)
