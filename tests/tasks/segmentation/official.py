"""The official test, plainly on whole tensors (lib/datasets/*.py, testval of lib/core/function.py)."""

import cv2
import numpy as np
import torch
import torch.nn.functional as F

MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])


def resize_maps(maps, size, align_corners):
    return F.interpolate(maps, size, mode="bilinear", align_corners=align_corners)


def inference(network, image, flip, mirror, align_corners):
    """image: (1, 3, h, w). The exponential of the logits at the image's size, averaged over the flip."""

    def logits(x):
        out = network(x)
        out = out[-1] if isinstance(out, list) else out
        return resize_maps(out, x.shape[2:], align_corners)

    pred = logits(image)
    if flip:
        flipped = logits(image.flip(3))
        pred = 0.5 * (pred + flipped[:, mirror].flip(3))
    return pred.exp()


def to_tensor(image):
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)[None]))


def scaled(image, base, scale):
    long = int(base * scale + 0.5)
    h, w = image.shape[:2]
    new_h, new_w = (long, int(w * long / h + 0.5)) if h > w else (int(h * long / w + 0.5), long)
    return cv2.resize(image, (new_w, new_h), interpolation=cv2.INTER_LINEAR)


def padded(image, size):
    h, w = image.shape[:2]
    bottom, right = max(size[0] - h, 0), max(size[1] - w, 0)
    black = [float(v) for v in -MEAN / STD]
    return cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_CONSTANT, value=black)


def multi_scale(run, image, base, crop, scales, align_corners, cityscapes):
    """image: (H, W, 3) normalised. run(tensor) -> exponentiated logits of its size. Returns (1, C, H, W)."""
    final = 0
    for scale in scales:
        new = scaled(image, base, scale)
        height, width = new.shape[:2]
        if (cityscapes and scale <= 1) or (not cityscapes and max(height, width) <= min(crop)):
            new = new if cityscapes else padded(new, crop)
            preds = run(to_tensor(new))[:, :, :height, :width]
        else:
            if not cityscapes:
                new = padded(new, crop)
            new_h, new_w = new.shape[:2]
            part = 1.0 if cityscapes else 2.0 / 3.0
            stride_h, stride_w = int(crop[0] * part), int(crop[1] * part)
            rows = int(np.ceil((new_h - crop[0]) / stride_h)) + 1
            cols = int(np.ceil((new_w - crop[1]) / stride_w)) + 1
            preds = count = 0
            for r in range(rows):
                for c in range(cols):
                    h0, w0 = r * stride_h, c * stride_w
                    h1, w1 = min(h0 + crop[0], new_h), min(w0 + crop[1], new_w)
                    if cityscapes:
                        h0, w0 = max(h1 - crop[0], 0), max(w1 - crop[1], 0)
                    piece = new[h0:h1, w0:w1]
                    piece = piece if cityscapes else padded(piece, crop)
                    pred = run(to_tensor(piece))
                    if isinstance(preds, int):
                        preds = torch.zeros(1, pred.shape[1], new_h, new_w)
                        count = torch.zeros(1, 1, new_h, new_w)
                    preds[:, :, h0:h1, w0:w1] += pred[:, :, : h1 - h0, : w1 - w0]
                    count[:, :, h0:h1, w0:w1] += 1
            preds = (preds / count)[:, :, :height, :width]
        final = final + resize_maps(preds, image.shape[:2], align_corners)
    return final


def scores(network, base_image, valid, target, *, base, crop, scales, flip, mirror, align_corners, cityscapes):
    """What argmax is taken of: (C, *target). base_image: (H, W, 3) normalised float32, `valid` of it the picture."""

    def run(x):
        return inference(network, x, flip, mirror, align_corners)

    pred = multi_scale(run, base_image, base, crop, scales, align_corners, cityscapes)
    pred = pred[:, :, : valid[0], : valid[1]]
    if tuple(pred.shape[2:]) != tuple(target):
        pred = resize_maps(pred, target, align_corners)
    return pred[0]
