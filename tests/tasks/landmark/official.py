"""The official evaluation, written out plainly in NumPy and Pillow: what it computes, face by face and point by point.

lib/utils/transforms.py, lib/core/evaluation.py of HRNet-Facial-Landmark-Detection, and SciPy 1.0's scipy.misc.
"""

import numpy as np
from PIL import Image


def bytescale(data):
    low, high = data.min(), data.max()
    span = (high - low) or 1
    return (((data - low) * (255.0 / span)).clip(0, 255) + 0.5).astype(np.uint8)


def imresize(data, size):
    """Of float32 pixels, which it stretches to 0..255."""
    return np.asarray(Image.fromarray(bytescale(data)).resize((size[1], size[0]), Image.BILINEAR), np.float32)


def transform_pixel(point, center, scale, size, invert):
    h = 200 * scale
    t = np.array(
        [[size / h, 0, size * (-center[0] / h + 0.5)], [0, size / h, size * (-center[1] / h + 0.5)], [0, 0, 1]]
    )
    if invert:
        t = np.linalg.inv(t)
    return (t @ np.array([point[0] - 1, point[1] - 1, 1.0]))[:2]


def crop(image, center, scale, size):
    """image: (H, W, 3) uint8; scale: with its 1.25."""
    image = image.astype(np.float32)
    center = np.array(center, dtype=float)
    height, width = image.shape[:2]
    factor = scale * 200 / size
    if factor >= 2:
        image = imresize(image, (int(height / factor), int(width / factor)))
        center, scale = center / factor, scale / factor
    ul = transform_pixel((0, 0), center, scale, size, True).astype(int) + 1
    br = transform_pixel((size, size), center, scale, size, True).astype(int) + 1
    piece = np.zeros((br[1] - ul[1], br[0] - ul[0], 3), np.float32)
    for y in range(piece.shape[0]):
        if not 0 <= ul[1] + y < image.shape[0]:
            continue
        for x in range(piece.shape[1]):
            if 0 <= ul[0] + x < image.shape[1]:
                piece[y, x] = image[ul[1] + y, ul[0] + x]
    return imresize(piece, (size, size))


def decode(heatmaps, centers, scales, cut):
    """heatmaps: (N, L, h, w). cut: to whole pixels, as transform_pixel ends."""
    count, points, height, width = heatmaps.shape
    found = np.zeros((count, points, 2))
    for n in range(count):
        for k in range(points):
            heatmap = heatmaps[n, k]
            y, x = divmod(int(heatmap.argmax()), width)
            px, py = (x + 1.0, y + 1.0) if heatmap.max() > 0 else (0.0, 0.0)
            if 1 < px < width and 1 < py < height:
                px += 0.25 * np.sign(heatmap[y, x + 1] - heatmap[y, x - 1])
                py += 0.25 * np.sign(heatmap[y + 1, x] - heatmap[y - 1, x])
            found[n, k] = transform_pixel((px + 0.5, py + 0.5), centers[n], scales[n], width, True)
    return found.astype(int) + 1 if cut else found


def compute_nme(points, truth, sides=None):
    errors = []
    for n, (ours, want) in enumerate(zip(points, truth)):
        count = len(want)
        a, b = {29: (8, 9), 68: (36, 45), 98: (60, 72)}.get(count, (None, None))
        norm = sides[n] if count == 19 else np.linalg.norm(want[a] - want[b])
        errors.append(np.sum(np.linalg.norm(ours - want, axis=1)) / (norm * count))
    return np.array(errors)
