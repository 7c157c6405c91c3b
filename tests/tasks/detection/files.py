"""A COCO of three pictures, two of them with objects, in its original files."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

NAME = "hrnet_w18_small.faster_rcnn_coco"
# x, y, width, height by picture; COCO's ids of categories have gaps
TRUTH = {7: [(1, (10.0, 20.0, 100.0, 150.0)), (3, (120.5, 30.25, 31.0, 30.0))], 9: [(90, (5.0, 6.0, 50.0, 60.0))]}
CATEGORIES = [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}, {"id": 90, "name": "toothbrush"}]


def coco_data() -> dict:
    entries = [(image, *entry) for image, row in TRUTH.items() for entry in row]
    return {
        "images": [{"id": i, "file_name": f"{i:012d}.png", "width": 200, "height": 180} for i in (*TRUTH, 11)],
        "categories": [dict(category) for category in CATEGORIES],
        "annotations": [
            {"id": k, "image_id": i, "category_id": c, "bbox": list(box), "area": box[2] * box[3], "iscrowd": 0}
            for k, (i, c, box) in enumerate(entries, 1)
        ],
    }


def write_coco(root: Path, data: dict | None = None, name: str = "instances_val2017") -> Path:
    data = data or coco_data()
    (root / "annotations").mkdir(parents=True)
    (root / "annotations" / f"{name}.json").write_text(json.dumps(data))
    folder = root / name.rpartition("_")[2].replace("test-dev", "test")
    folder.mkdir()
    for image in data["images"]:
        pixels = np.random.default_rng(image["id"]).integers(0, 256, (180, 200, 3), np.uint8)
        Image.fromarray(pixels).save(folder / image["file_name"])
    return root
