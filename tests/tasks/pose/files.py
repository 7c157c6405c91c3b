"""Small data sets in the original formats, written by hand."""

import copy
import json

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from hrnet_fast.tasks.pose.skeletons import COCO, CROWDPOSE

SIZE = (120, 160)
CATEGORIES = [{"id": 1, "name": "person", "keypoints": list(COCO.keypoints)}, {"id": 3, "name": "car"}]
MPII_NAMES = [
    "rank", "rkne", "rhip", "lhip", "lkne", "lank", "pelv", "thor", "neck", "head", "rwri", "relb", "rsho", "lsho",
    "lelb", "lwri",
]  # fmt: skip


def keypoints(x, y, width, height, seed=0, seen=17):
    """17 points in a box, x, y, v; the last of them not annotated."""
    points = np.random.default_rng(seed).uniform((x, y), (x + width, y + height), (17, 2)).round(2)
    rows = np.hstack([points, np.full((17, 1), 2.0)])
    rows[seen:] = 0
    return rows.ravel().tolist()


def annotation(number, image, box, **changes):
    points = changes.pop("keypoints", keypoints(*box, seed=number))
    entry = {"id": number, "image_id": image, "category_id": 1, "bbox": list(box), "area": float(box[2] * box[3])}
    entry |= {"iscrowd": 0, "keypoints": points, "num_keypoints": int(sum(np.array(points[2::3]) > 0))}
    return entry | changes


def coco_data():
    """Three pictures: two large people and what is no person; one of medium size; nobody."""
    return {
        "images": [
            {"id": number, "file_name": f"{number:012d}.png", "width": SIZE[1], "height": SIZE[0]}
            for number in (7, 9, 11)
        ],
        "categories": copy.deepcopy(CATEGORIES),
        "annotations": [
            annotation(1, 7, (5, 10, 100, 105)),
            annotation(2, 7, (60, 8, 98, 110), keypoints=keypoints(60, 8, 98, 110, seed=2, seen=11)),
            annotation(3, 7, (0, 0, 80, 80), iscrowd=1),
            annotation(4, 7, (3, 3, 40, 40), keypoints=[0] * 51),
            {"id": 5, "image_id": 7, "category_id": 3, "bbox": [1, 1, 9, 9], "area": 81.0, "iscrowd": 0},
            annotation(6, 9, (100, 20, 55, 60)),
        ],
    }


def write_coco(root, data=None, split="val2017", prefix="person_keypoints"):
    data = coco_data() if data is None else data
    (root / "annotations").mkdir(parents=True)
    (root / "annotations" / f"{prefix}_{split}.json").write_text(json.dumps(data))
    (root / split).mkdir()
    for image in data["images"][:2] if isinstance(data, dict) and "images" in data else []:
        pixels = np.random.default_rng(image["id"]).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / split / image.get("file_name", "nameless.png"))
    return root


def mpii_data(people=6, seed=0):
    """Annotations as valid.json has them and the arrays of gt_valid.mat, (16, 2, N) and so on."""
    generator = np.random.default_rng(seed)
    truth = generator.uniform(20, 90, (16, 2, people)).round(1)
    missing = (generator.uniform(size=(16, people)) < 0.2).astype(np.uint8)
    heads = np.stack([np.full((2, people), 30.0), np.full((2, people), 30.0) + generator.uniform(9, 30, (2, people))])
    entries = [
        {
            "image": f"{i // 2:09d}.png",
            "center": [60.0 + i, 55.5],
            "scale": 0.41 + i / 10,
            "joints": truth[:, :, i].tolist(),
            "joints_vis": (1 - missing[:, i]).tolist(),
        }
        for i in range(people)
    ]
    return entries, truth, missing, heads


def write_mpii(root, data=None, split="valid"):
    entries, truth, missing, heads = data or mpii_data()
    for folder in ("annot", "images"):
        (root / folder).mkdir(parents=True)
    (root / "annot" / f"{split}.json").write_text(json.dumps(entries))
    names = np.empty((1, 16), dtype=object)
    names[0] = MPII_NAMES
    arrays = {"jnt_missing": missing, "pos_gt_src": truth, "headboxes_src": heads, "dataset_joints": names}
    savemat(root / "annot" / f"gt_{split}.mat", arrays)
    for name in {entry["image"] for entry in entries if isinstance(entry, dict) and "image" in entry}:
        pixels = np.random.default_rng(1).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "images" / name)
    return root


def crowdpose_annotation(number, image, box, **changes):
    points = np.random.default_rng(number).uniform(box[:2], np.add(box[:2], box[2:]), (14, 2)).round(2)
    entry = {"id": number, "image_id": image, "category_id": 1, "bbox": list(box), "iscrowd": 0, "num_keypoints": 12}
    return entry | {"keypoints": np.hstack([points, np.full((14, 1), 2.0)]).ravel().tolist()} | changes


def crowdpose_data():
    """An easy picture, a medium and a hard one, each with a person; the hard one with some who are not scored too."""
    nobody = {"num_keypoints": 0, "keypoints": [0] * 36 + [70, 40, 2, 72, 50, 1]}  # only the head and the neck
    return {
        "images": [
            {"id": number, "file_name": f"{number}.png", "width": SIZE[1], "height": SIZE[0], "crowdIndex": index}
            for number, index in ((100000, 0.19), (100001, 0.2), (100002, 0.8))
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(CROWDPOSE.keypoints)}],
        "annotations": [
            crowdpose_annotation(1, 100000, (5, 10, 100, 105)),
            crowdpose_annotation(2, 100001, (60, 8, 98, 110)),
            crowdpose_annotation(3, 100002, (20, 20, 150, 99)),
            crowdpose_annotation(4, 100002, (60, 30, 40, 50), **nobody),
            crowdpose_annotation(5, 100002, (0, 0, 80, 80), iscrowd=1, num_keypoints=0),
        ],
    }


def write_crowdpose(root, data=None, place="json/crowdpose_test.json"):
    data = crowdpose_data() if data is None else data
    (root / "images").mkdir(parents=True)
    (root / place).parent.mkdir(exist_ok=True)
    (root / place).write_text(json.dumps(data))
    for image in data["images"]:
        pixels = np.random.default_rng(image["id"]).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "images" / image.get("file_name", "nameless.png"))
    return root


def without(name, place="annotations", index=0):
    def change(data):
        del data[place][index][name]

    return change


def put(name, value, place="annotations", index=0):
    def change(data):
        data[place][index][name] = value

    return change


def assert_refused(dataset, root, place, sentence):
    """In one sentence, which names the file of annotations in `place`."""
    with pytest.raises(ValueError) as caught:
        dataset(root)
    said = str(caught.value)
    assert sentence in said and "\n" not in said and str(root / place) in said
