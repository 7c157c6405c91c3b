"""Landmarks of faces: python examples/landmarks.py [PICTURE] [--weights FILE] [--model NAME]; or a rendered face."""

import argparse

from hrnet_fast import LandmarkEstimator
from hrnet_fast.synthetic import face_scene
from hrnet_fast.tasks.landmark import draw

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("picture", nargs="?")
parser.add_argument("--weights", help="a checkpoint of any HRNet code base; without it the weights are random")
parser.add_argument("--model", default="hrnet_w18.landmark_wflw")
parser.add_argument("--out", default="landmarks.jpg")
args = parser.parse_args()

picture, boxes = args.picture, None  # without boxes the whole picture is one face
if picture is None:
    picture, truth = face_scene(seed=1)
    left, top, right, bottom = truth.box
    boxes = [(left, top, right - left, bottom - top)]

estimator = LandmarkEstimator(args.model, args.weights)
if estimator.network.random_weights:
    print("no --weights were given, so they are random and the results mean nothing")
faces = estimator(picture, boxes)
for face in faces:
    print(f"{len(face.points)} points, mean score {face.score:.2f}, the first at {face.points[0].tolist()}")
draw(picture, faces).save(args.out)
