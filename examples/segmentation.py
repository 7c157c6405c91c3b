"""The class of every pixel: python examples/segmentation.py [PICTURE] [--weights FILE] [--model NAME]."""

import argparse

from hrnet_fast import Segmenter
from hrnet_fast.synthetic import street_scene
from hrnet_fast.tasks.segmentation import draw, save_labels

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("picture", nargs="?", help="default: a rendered street")
parser.add_argument("--weights", help="a checkpoint of any HRNet code base; without it the weights are random")
parser.add_argument("--model", default="hrnet_w18_small.seg_cityscapes")
parser.add_argument("--out", default="segmentation.jpg")
args = parser.parse_args()

picture = args.picture if args.picture else street_scene(seed=1)[0]
segmenter = Segmenter(args.model, args.weights, size="native")  # at the picture's own size, not Cityscapes' 1024 x 2048
if segmenter.network.random_weights:
    print("no --weights were given, so they are random and the results mean nothing")
result = segmenter(picture)
for name, pixels in result.areas().items():
    print(f"{name}: {pixels / result.labels.numel():.1%}")
draw(picture, result).save(args.out)
save_labels(result, f"{args.out}.labels.png")
