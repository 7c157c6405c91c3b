"""CrowdPose in its original files, and its metric.

COCO's format with 14 keypoints, and for each picture its `crowdIndex`. Li et al., CrowdPose: Efficient Crowded Scenes
Pose Estimation and a New Benchmark, CVPR 2019.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar

from ..coco_set import FIELDS
from ..json_fields import NUMBER
from .coco import CocoKeypoints, CocoPictures
from .coco_scorer import METRICS, keypoint_stats
from .skeletons import CROWDPOSE

_WANTED = (
    "download the images and annotations that the README of github.com/Jeff-sjtu/CrowdPose links to under "
    '"Dataset", and unpack them to {root}/images/*.jpg and {path}'
)
# Where HigherHRNet's repository has the annotations, and where mmpose has them
_ANNOTATIONS = ("json/crowdpose_{}.json", "annotations/crowdpose_{}.json", "annotations/mmpose_crowdpose_{}.json")
AREA = 0.53  # crowdposetools/cocoeval.py, computeOks: a person's area, of that of the box
# The same, get_type_result: where each level begins. The paper writes 0.1 for the second; xtcocotools, with which
# mmpose scores, has 0.2 too. Some pictures have an index above 1.
LEVELS = {"AP easy": -math.inf, "AP medium": 0.2, "AP hard": 0.8}


def crowd_precision(
    annotations: dict[str, Any], results: list[dict[str, Any]], images: list[int], person: int = 1
) -> dict[str, float]:
    """AP and AR, and AP of easy, medium and hard pictures by their crowd index; 0 to 1, -1 where nobody is annotated.

    Takes what `average_precision` does. summarize of crowdposetools/cocoeval.py (github.com/Jeff-sjtu/CrowdPose), which
    rounds the levels to four digits: COCO's evaluation with other sigmas, areas from boxes, and no sizes of people.
    """
    people = [{**entry, "area": entry["bbox"][2] * entry["bbox"][3] * AREA} for entry in annotations["annotations"]]
    index = {image["id"]: image["crowdIndex"] for image in annotations["images"]}
    begins = [*LEVELS.values(), math.inf]
    levels = [[i for i in images if low <= index[i] < high] for low, high in zip(begins, begins[1:])]
    truth = {**annotations, "annotations": people}
    stats = keypoint_stats(truth, results, [images, *levels], person, CROWDPOSE.sigmas, by_size=False)
    numbers = {name: value for name, value in zip(METRICS, stats[0]) if name[2:] not in ("M", "L")}
    return numbers | {name: level[0] for name, level in zip(LEVELS, stats[1:])}


class CrowdPosePictures(CocoPictures):
    """CrowdPose's pictures in the order of the annotation file: `len` of them, without boxes.

    root: the folder with
        json/crowdpose_<split>.json      from the link under "Dataset" in the README of github.com/Jeff-sjtu/CrowdPose;
            or annotations/crowdpose_<split>.json, or mmpose's annotations/mmpose_crowdpose_<split>.json
        images/*.jpg                      from the same place
    split: train, val, trainval (which tools/crowdpose_concat_train_val.py of HigherHRNet's repository makes) or test;
        None for test, the papers'.
    Errors: FileNotFoundError saying what to download; ValueError for annotations with missing fields, unknown
        categories or no crowd index, naming the first.
    """

    name = "CrowdPose"
    skeleton, keypoints = CROWDPOSE, 14
    papers_split = "test"
    has_annotations = True
    # the official evaluation passes over people with num_keypoints 0, which counts neither heads nor necks
    _fields: ClassVar[dict[str, str]] = {**FIELDS, "num_keypoints": NUMBER}
    _image_fields: ClassVar[dict[str, str]] = {**CocoPictures._image_fields, "crowdIndex": NUMBER}
    _metric = staticmethod(crowd_precision)

    def _places(self) -> tuple[Path, tuple[Path, ...], str]:
        paths = [self.root / place.format(self.split) for place in _ANNOTATIONS]
        path = next((path for path in paths if path.exists()), paths[0])
        return path, (self.root / "images",), _WANTED.format(root=self.root, path=path)


class CrowdPoseKeypoints(CrowdPosePictures, CocoKeypoints):
    """CrowdPose's pictures with the boxes of their people.

    root, split: as `CrowdPosePictures`, and optionally
        annotations/det_for_crowd_test_0.1_0.5.json      YOLOv3's detections, from the link under "CrowdPose" in
            docs/en/dataset_zoo/2d_body_keypoint.md of github.com/open-mmlab/mmpose
    boxes, nms, oks_threshold: as `CocoKeypoints`; the values are those of mmpose's
        td-hm_hrnet-w32_8xb64-210e_crowdpose-256x192.py too.
    Errors: those of `CrowdPosePictures`.
    """

    def _is_marked(self, person: dict[str, Any]) -> bool:
        return person["num_keypoints"] > 0 and max(person["keypoints"]) > 0

    def _clean_box(self, person: dict[str, Any], image: dict[str, Any]) -> tuple[float, ...] | None:
        """parse_data_info of mmpose/datasets/datasets/base/base_coco_style_dataset.py; None for a box without area."""
        x, y, width, height = person["bbox"]
        right, bottom = image["width"] - 1, image["height"] - 1
        x1, x2 = (min(max(side, 0), right) for side in (x, x + width))
        y1, y2 = (min(max(side, 0), bottom) for side in (y, y + height))
        return (x1, y1, x2 - x1, y2 - y1) if x2 > x1 and y2 > y1 else None
