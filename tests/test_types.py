"""The types, by mypy: those of the package are true, and a user sees useful ones."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import hrnet_fast
from tests.kept import kept, locked

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)

pytestmark = pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not installed")

# What mypy says of a line stands behind it: the type, without the names of modules, or the kind of error
USE = """
from io import BytesIO
from pathlib import Path

import numpy as np
import torch

import hrnet_fast
from hrnet_fast.tasks import bottom_up, classification, detection, landmark, pose, segmentation

model = hrnet_fast.create_model("hrnet_w40", head="segmentation", num_outputs=19)
reveal_type(model)  # HighResolutionNet
reveal_type(model.config.input_size)  # tuple[int, int]
hrnet_fast.create_model("hrnet_w40", heads="segmentation")  # call-arg
hrnet_fast.create_model("hrnet_w40", head=3)  # arg-type
reveal_type(hrnet_fast.list_models("*seg*"))  # list[str]
reveal_type(hrnet_fast.model_config("hrnet_w32.features"))  # HRNetConfig
hrnet_fast.optimise(model)  # attr-defined

report = hrnet_fast.load_weights(model, Path("weights.pth"))
reveal_type(report)  # LoadReport
reveal_type(report.missing)  # tuple[str, ...]
hrnet_fast.load_weights(model, model.state_dict())
hrnet_fast.save_weights(model, "weights.pth", layout="mmseg")

image = torch.randn(1, 3, 64, 64)
fast = hrnet_fast.optimize(model, dtype=torch.bfloat16, example=image)
reveal_type(fast)  # OptimizedModule
reveal_type(fast.original)  # Module
reveal_type(fast.dtype)  # dtype
reveal_type(fast.device)  # device
reveal_type(fast.executor.name)  # str
reveal_type(fast.plan_for([image, image]))  # Plan
reveal_type(fast.profile(image))  # list[tuple[int, float]]
reveal_type(fast.tune(image).left)  # int
reveal_type(fast.eval())  # OptimizedModule
reveal_type(fast.refresh())  # None
hrnet_fast.optimize(model, example=(1, 3, 64, 64))
hrnet_fast.optimize(model, example=(image, None))
hrnet_fast.optimize(model, example=[(1, 18, 64, 64), (1, 36, 32, 32)])
hrnet_fast.optimize(model, example="image")  # arg-type
hrnet_fast.optimize("hrnet_w32.features")  # arg-type
hrnet_fast.optimize(model, dtype="bfloat16")  # arg-type

plan = hrnet_fast.explain(fast, (1, 3, 64, 64))
reveal_type(plan)  # Plan
reveal_type(plan.levels[0].items[0])  # Conv | Sum | Concat | Function
reveal_type(plan.levels[0].roofline_us)  # float
found = hrnet_fast.verify(model, fast, image, levels=True)
reveal_type(found)  # VerifyReport
reveal_type(found.passed)  # bool
reveal_type(found.outputs[0].error)  # float
hrnet_fast.verify(fast, model, image)  # arg-type
hrnet_fast.save(fast, "net.safetensors", image, (1, 3, 32, 32))
reveal_type(hrnet_fast.load(Path("net.safetensors"), device="cpu"))  # OptimizedModule

for source in ("a.jpg", Path("a.jpg"), b"", BytesIO(), open("a.jpg", "rb"), np.zeros((9, 9, 3), np.uint8), image[0]):
    reveal_type(hrnet_fast.read_image(source))  # Tensor
hrnet_fast.read_image(3)  # arg-type

estimate = pose.PoseEstimator(model, Path("weights.pth"), detector=lambda picture: picture[0])
reveal_type(estimate)  # PoseEstimator
reveal_type(estimate.network.module)  # OptimizedModule
people = estimate("a.jpg", np.zeros((1, 4)))
reveal_type(people)  # list[Person]
reveal_type(estimate.batch(["a.jpg"], [image]))  # list[list[Person]]
reveal_type(people[0].keypoints)  # Tensor
reveal_type(people[0].score)  # float
reveal_type(people[0].box)  # tuple[float, float, float, float]
reveal_type(people[0].skeleton.keypoints)  # tuple[str, ...]
reveal_type(pose.draw("a.jpg", people))  # Image
reveal_type(pose.to_json(people))  # dict[str, Any]
reveal_type(pose.evaluate(estimate, pose.CocoKeypoints("coco")))  # Evaluation
estimate("a.jpg", boxes=3)  # arg-type
pose.PoseEstimator(model, detector=3)  # arg-type

everyone = bottom_up.BottomUpPoseEstimator("hrnet_w32.pose_higher_coco_512x512", scales=[0.5, 1, 2])
reveal_type(everyone("a.jpg"))  # list[Person]
reveal_type(bottom_up.draw("a.jpg", everyone("a.jpg")))  # Image

segment = segmentation.Segmenter("hrnet_w48.seg_cityscapes", size=[512, 1024], scales=np.ones(2))
labelled = segment("a.jpg")
reveal_type(labelled)  # Segmentation
reveal_type(labelled.labels)  # Tensor
reveal_type(labelled.areas())  # dict[str, int]
reveal_type(segmentation.draw("a.jpg", labelled))  # Image
segmentation.Segmenter("hrnet_w48.seg_cityscapes", size=512)  # arg-type

faces = landmark.LandmarkEstimator("hrnet_w18.landmark_wflw")("a.jpg", [[60, 40, 200, 240]])
reveal_type(faces)  # list[Face]
reveal_type(faces[0].points)  # Tensor
reveal_type(faces[0].scheme)  # Scheme | None
reveal_type(landmark.draw("a.jpg", faces))  # Image

detect = detection.Detector("hrnet_w18.faster_rcnn_coco", names=["ship", "buoy"])
reveal_type(detect("a.jpg"))  # list[Detection]
reveal_type(detect("a.jpg")[0].box)  # tuple[float, float, float, float]
reveal_type(detection.draw("a.jpg", detect("a.jpg")))  # Image
pose.PoseEstimator(model, detector=detect.boxes_of("person"))

classify = classification.Classifier("hrnet_w18.cls_in1k", names=["cat", "dog"])
classes = classify("a.jpg", top=5)
reveal_type(classes)  # list[Classification]
reveal_type(classes[0].probability)  # float
reveal_type(classes[0].label)  # str
reveal_type(classify.probabilities(["a.jpg"]))  # Tensor
reveal_type(classification.draw("a.jpg", classes))  # Image
"""


def mypy(*files: Path | str) -> list[str]:
    """What it says of these, by the settings of pyproject.toml."""
    folder = kept("mypy")
    command = [sys.executable, "-m", "mypy", "--cache-dir", folder, "--no-error-summary", *files]
    with locked(folder):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "COLUMNS": "999"})
    assert done.returncode in (0, 1) and not done.stderr, done.stderr + done.stdout
    return done.stdout.splitlines()


def test_the_package_has_no_wrong_types():
    assert mypy("-p", "hrnet_fast") == []


def test_the_readme_and_the_examples_have_no_wrong_types(tmp_path):
    assert len(SNIPPETS) > 3
    for index, snippet in enumerate(SNIPPETS):
        (tmp_path / f"snippet_{index}.py").write_text(snippet)
    tasks = ("pose", "bottom_up", "segmentation", "landmarks", "classification", "detection")
    assert mypy(*sorted(tmp_path.iterdir()), *(f"examples/{task}.py" for task in tasks)) == []


def test_a_user_sees_useful_types(tmp_path):
    (tmp_path / "use.py").write_text(USE)
    said: dict[int, list[str]] = {}
    for line in mypy(tmp_path / "use.py"):
        number, kind, text = re.fullmatch(r".*use\.py:(\d+): (\w+): (.*)", line).groups()
        if kind == "error":
            said.setdefault(int(number), []).append(re.search(r"\[([\w-]+)\]$", text)[1])
        elif found := re.fullmatch(r'Revealed type is "(.*)"', text):
            said.setdefault(int(number), []).append(re.sub(r"[\w.]+\.(?=\w)", "", found[1]))
    lines = [line.partition("  # ") for line in USE.splitlines()]
    assert said == {number: [wanted] for number, (_, _, wanted) in enumerate(lines, 1) if wanted}


def test_type_checkers_know_the_public_names():
    tree = ast.parse((ROOT / "hrnet_fast" / "__init__.pyi").read_text())
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert {alias.asname: node.module for node in imports for alias in node.names} == hrnet_fast._PUBLIC
