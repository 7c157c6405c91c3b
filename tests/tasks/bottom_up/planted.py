"""People whose answer is known: networks that give heatmaps and tags of keypoints at chosen places."""

import numpy as np
import torch

from hrnet_fast.tasks.bottom_up import BottomUpPoseEstimator
from hrnet_fast.tasks.pose.skeletons import COCO

NAME = "hrnet_w18_small.pose_higher_coco_512x512"
SIGMA = 2.0  # of the heatmaps that the network is trained on


def people(seed, count, height, width, absent=0.0):
    """(P, 17, 3) x, y, height of the peak, 0 for a keypoint that is not there, in a picture. Everyone has a nose;
    keypoints of one kind lie apart, so that each has a peak of its own."""
    generator = np.random.default_rng(seed)
    found = np.zeros((count, 17, 3))
    cells = [(row, column) for row in range(3) for column in range(4)]
    for k in range(17):
        for p, at in enumerate(generator.permutation(len(cells))[:count]):
            x, y = (cells[at][1] + generator.uniform(0.3, 0.7)) / 4, (cells[at][0] + generator.uniform(0.3, 0.7)) / 3
            found[p, k] = x * (width - 1), y * (height - 1), generator.uniform(0.4, 1)
    found[:, 1:, 2] *= generator.uniform(size=(count, 16)) >= absent
    return found


class Planted:
    """Gives the maps of people of a picture, whatever image it is shown: the first is the picture's, a second one its
    mirror image's. Works out from an image's size alone where the picture lies in it.

    found: (P, 17, 3) in pixels of the picture, of (height, width). tags: P numbers.
    """

    name, num_outputs, device, input_size = "planted", 17, torch.device("cpu"), (64, 64)
    random_weights, config = False, None

    def __init__(self, found, tags, size):
        self.found, self.tags, self.size, self.shapes = np.asarray(found, float).reshape(-1, 17, 3), tags, size, []

    def __call__(self, images):
        count, _, height, width = images.shape
        self.shapes.append((count, height, width))
        assert count <= 2
        outputs = [self._maps(height, width, mirrored) for mirrored in (False, True)[:count]]
        return [torch.from_numpy(np.stack(maps)).float() for maps in zip(*outputs)]

    def _maps(self, height, width, mirrored):
        scale = min(height, width) / min(self.size)
        center = np.array([int(self.size[1] / 2 + 0.5), int(self.size[0] / 2 + 0.5)])
        found = self.found.copy()
        found[..., :2] = (found[..., :2] - center) * scale + np.array([width, height]) / 2
        if mirrored:
            found[..., 0] = width - found[..., 0]
            found = found[:, COCO.swap]
        coarse, fine = (self._at(found, height // step, width // step, step) for step in (4, 2))
        return np.concatenate(coarse), fine[0]

    def _at(self, found, height, width, step):
        """Heatmaps and tags (17, h, w) of pixels with centres at (i + 1/2) steps; a tag is the nearest person's,
        whether its keypoint is there or not."""
        y, x = (np.mgrid[:height, :width] + 0.5) * step
        heat, tag = np.zeros((17, height, width)), np.zeros((17, height, width))
        nearest = np.full((17, height, width), np.inf)
        for person, number in zip(found, self.tags):
            for k in range(17):
                far = (x - person[k, 0]) ** 2 + (y - person[k, 1]) ** 2
                heat[k] = np.maximum(heat[k], person[k, 2] * np.exp(-far / (2 * (SIGMA * step) ** 2)))
                tag[k] = np.where(far < nearest[k], number, tag[k])
                nearest[k] = np.minimum(nearest[k], far)
        return heat, tag


def seeing(found, tags, size, **options):
    """An estimator of these people; its network sees pictures with a short side of 256 unless `short_side` is given."""
    options = {"short_side": 256, **options}
    estimator = BottomUpPoseEstimator(NAME, **options)
    estimator.network = Planted(found, tags, size)
    return estimator
