"""Draws docs/pictures: what the tasks' `draw` makes of the generator's annotations (the truth, not predictions).

pose.jpg, which has predictions too, is from training.py.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from hrnet_fast.synthetic import face_scene, figure_scene, parsing_scene, place_scene, street_scene
from hrnet_fast.synthetic.imagenet import CLASSES
from hrnet_fast.synthetic.people import tight_box
from hrnet_fast.tasks import classification, detection, landmark, segmentation
from hrnet_fast.tasks.segmentation.cityscapes_labels import TRAINED

GAP = 6
IDS = {label.id: label.name for label in TRAINED}


def labels(picture, numbers, classes: segmentation.ClassSet) -> list[Image.Image]:
    result = segmentation.Segmentation(torch.as_tensor(numbers, dtype=torch.uint8), classes)
    return [Image.fromarray(picture), segmentation.draw(picture, result, legend=False)]


def street(seed: int) -> list[Image.Image]:
    from hrnet_fast.tasks.segmentation.cityscapes_labels import train_ids

    picture, truth = street_scene(seed, (240, 480))
    return labels(picture, train_ids()[torch.from_numpy(truth.label_ids).long()], segmentation.CITYSCAPES)


def face(seed: int, count: int, **attributes: bool) -> Image.Image:
    picture, truth = face_scene(seed, (640, 640), **attributes)
    points = torch.from_numpy(truth.points(count)).float()
    left, top, right, bottom = truth.box
    drawn = landmark.draw(picture, [landmark.Face(points, torch.ones(count), (left, top, right - left, bottom - top))])
    x, y, half = (left + right) / 2, (top + bottom) / 2 - 20, 0.95 * max(right - left, bottom - top)
    return drawn.crop((round(x - half), round(y - half), round(x + half), round(y + half)))


def shown(label: int, seed: int) -> Image.Image:
    wordnet = sorted(CLASSES)[label]
    name, scene = CLASSES[wordnet]
    answer = [classification.Classification(label, 1.0, name, wordnet)]
    return classification.draw(scene(seed, (240, 300), None), answer)


def traffic(seed: int) -> Image.Image:
    """The people and vehicles of a street that are large enough to see."""
    picture, truth = street_scene(seed, (360, 720))
    found = []
    for instance in np.unique(truth.instance_ids):
        name = IDS.get(int(instance) // 1000, "")
        if name in detection.COCO and (mask := truth.instance_ids == instance).sum() > 250:
            found.append(detection.Detection(tight_box(mask), 1.0, detection.COCO.index(name), name))
    return detection.draw(picture, found)


def people(seed: int, size: tuple[int, int]) -> Image.Image:
    picture, truth = figure_scene(seed, size, people=3)
    return detection.draw(
        picture, [detection.Detection(tuple(person.box), 1.0, 0, "person") for person in truth if not person.crowd]
    )


def sheet(rows: list[list[Image.Image]]) -> Image.Image:
    """Rows of pictures; each row is as wide as the first."""
    width = sum(picture.width for picture in rows[0]) + GAP * (len(rows[0]) - 1)
    scaled = []
    for row in rows:
        share = (width - GAP * (len(row) - 1)) / sum(picture.width / picture.height for picture in row)
        scaled.append(
            [picture.resize((round(share * picture.width / picture.height), round(share))) for picture in row]
        )
    height = sum(row[0].height for row in scaled) + GAP * (len(rows) - 1)
    page, top = Image.new("RGB", (width, height), "white"), 0
    for row in scaled:
        left = 0
        for picture in row:
            page.paste(picture, (left, top))
            left += picture.width + GAP
        top += row[0].height + GAP
    return page


def main(folder: Path) -> None:
    parsing = [picture for seed in (1, 6, 8) for picture in labels(*parsing_scene(seed, (300, 200)), segmentation.LIP)]
    places = [picture for seed in (7, 11) for picture in labels(*place_scene(seed), segmentation.PASCAL_CONTEXT60)]
    faces = [face(7, 98), face(3, 68), face(10, 29, illumination=False), face(13, 19)]
    sheets = {
        "segmentation": [street(5), places, parsing],
        "landmarks": [faces],
        "detection": [[traffic(5), people(4, (360, 480))]],
        "classification": [[shown(label, seed) for label, seed in enumerate((5, 4, 7, 1))]],
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in sheets.items():
        page = sheet(rows)
        page.thumbnail((1200, 1200))
        page.save(folder / f"{name}.jpg", quality=85, optimize=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default="docs/pictures", help="default: %(default)s")
    main(parser.parse_args().folder)
