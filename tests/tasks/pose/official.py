"""The official code's loops, written out plainly in NumPy: what the tests hold ours against."""

import numpy as np

SIGMAS = (
    np.array([0.26, 0.25, 0.25, 0.35, 0.35, 0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89, 0.89])
    * 0.1
)


def box_to_center_scale(box, aspect):
    """lib/dataset/coco.py, _xywh2cs."""
    x, y, w, h = box
    center = np.array([x + w * 0.5, y + h * 0.5])
    if w > aspect * h:
        h = w / aspect
    elif w < aspect * h:
        w = h * aspect
    return center, np.array([w / 200, h / 200]) * 1.25


def affine(center, scale, size, inverse=False):
    """lib/utils/transforms.py, get_affine_transform at rotation 0, solved from its three points in float64."""
    w, h = size
    source, target = np.zeros((3, 2)), np.zeros((3, 2))
    source[0], target[0] = center, [w * 0.5, h * 0.5]
    source[1], target[1] = center + [0, scale[0] * 200 * -0.5], [w * 0.5, h * 0.5 + w * -0.5]
    for points in (source, target):
        direct = points[0] - points[1]
        points[2] = points[1] + [-direct[1], direct[0]]
    if inverse:
        source, target = target, source
    return np.linalg.solve(np.hstack([source, np.ones((3, 1))]), target).T


def apply(matrix, point):
    return matrix @ np.array([point[0], point[1], 1.0])


def udp_affine(center, size_in, size_out):
    """mmpose/structures/bbox/transforms.py, get_udp_warp_matrix at rotation 0; size_in is its `scale`, in pixels."""
    sx, sy = (size_out[0] - 1) / size_in[0], (size_out[1] - 1) / size_in[1]
    return np.array([
        [sx, 0, sx * (-0.5 * center[0] * 2 + 0.5 * size_in[0])],
        [0, sy, sy * (-0.5 * center[1] * 2 + 0.5 * size_in[1])],
    ])  # fmt: skip


def peaks(maps):
    """Whole-pixel peaks (K, 2) and their heights."""
    k, _, w = maps.shape
    index = maps.reshape(k, -1).argmax(1)
    return np.stack([index % w, index // w], 1).astype(np.float64), maps.reshape(k, -1).max(1)


def blur(maps, kernel):
    """mmpose gaussian_blur: zero borders, each map scaled back to its maximum."""
    sigma = 0.3 * ((kernel - 1) * 0.5 - 1) + 0.8
    r = kernel // 2
    weights = np.exp(-(np.arange(-r, r + 1) ** 2) / (2 * sigma**2))
    weights /= weights.sum()
    out = np.zeros_like(maps)
    for k, m in enumerate(maps):
        wide = np.pad(m, r)
        rows = sum(weights[i] * wide[i : i + m.shape[0], :] for i in range(kernel))
        out[k] = sum(weights[i] * rows[:, i : i + m.shape[1]] for i in range(kernel))
        out[k] *= m.max() / out[k].max()
    return out


def dark(maps, kernel):
    """mmpose refine_keypoints_dark on maps (K, H, W)."""
    points, _ = peaks(maps)
    k, h, w = maps.shape
    maps = np.log(np.maximum(blur(maps, kernel), 1e-10))
    for i in range(k):
        x, y = points[i].astype(int)
        m = maps[i]
        if not (1 < x < w - 2 and 1 < y < h - 2):
            continue
        dx, dy = 0.5 * (m[y, x + 1] - m[y, x - 1]), 0.5 * (m[y + 1, x] - m[y - 1, x])
        dxx = 0.25 * (m[y, x + 2] - 2 * m[y, x] + m[y, x - 2])
        dxy = 0.25 * (m[y + 1, x + 1] - m[y - 1, x + 1] - m[y + 1, x - 1] + m[y - 1, x - 1])
        dyy = 0.25 * (m[y + 2, x] - 2 * m[y, x] + m[y - 2, x])
        if dxx * dyy - dxy**2 != 0:
            points[i] += -np.linalg.inv(np.array([[dxx, dxy], [dxy, dyy]])) @ np.array([dx, dy])
    return points


def udp(maps, kernel):
    """mmpose refine_keypoints_dark_udp on maps (K, H, W)."""
    points, _ = peaks(maps)
    logs = np.pad(np.log(np.clip(blur(maps, kernel), 1e-3, 50.0)), ((0, 0), (1, 1), (1, 1)), mode="edge")
    for i, m in enumerate(logs):
        x, y = points[i].astype(int) + 1
        dx, dy = 0.5 * (m[y, x + 1] - m[y, x - 1]), 0.5 * (m[y + 1, x] - m[y - 1, x])
        dxx, dyy = m[y, x + 1] - 2 * m[y, x] + m[y, x - 1], m[y + 1, x] - 2 * m[y, x] + m[y - 1, x]
        dxy = 0.5 * (
            m[y + 1, x + 1] - m[y, x + 1] - m[y + 1, x] + 2 * m[y, x] - m[y, x - 1] - m[y - 1, x] + m[y - 1, x - 1]
        )
        hessian = np.array([[dxx, dxy], [dxy, dyy]]) + np.finfo(np.float32).eps * np.eye(2)
        points[i] -= np.linalg.inv(hessian) @ np.array([dx, dy])
    return points


def oks_iou(g, d, a_g, a_d, visible=None, quirk=False):
    """lib/nms/nms.py, oks_iou; `quirk` is its `list(a) and list(b)`, without it mmpose's `a & b`."""
    variances = (SIGMAS * 2) ** 2
    out = np.zeros(len(d))
    for n in range(len(d)):
        dx, dy = d[n, :, 0] - g[:, 0], d[n, :, 1] - g[:, 1]
        e = (dx**2 + dy**2) / variances / ((a_g + a_d[n]) / 2 + np.spacing(1)) / 2
        if visible is not None:
            e = e[d[n, :, 2] > visible] if quirk else e[(g[:, 2] > visible) & (d[n, :, 2] > visible)]
        out[n] = np.sum(np.exp(-e)) / len(e) if len(e) else 0.0
    return out


def oks_nms(points, scores, areas, threshold, **visibility):
    order, keep = scores.argsort(kind="stable")[::-1], []
    while len(order):
        i, order = order[0], order[1:]
        keep.append(int(i))
        order = order[oks_iou(points[i], points[order], areas[i], areas[order], **visibility) <= threshold]
    return keep


def soft_oks_nms(points, scores, areas, threshold, max_dets=20):
    order = scores.argsort(kind="stable")[::-1]
    scores, keep = scores[order], []
    while len(order) and len(keep) < max_dets:
        i, order = order[0], order[1:]
        keep.append(int(i))
        overlap = oks_iou(points[i], points[order], areas[i], areas[order])
        scores = scores[1:] * np.exp(-(overlap**2) / threshold)
        again = scores.argsort(kind="stable")[::-1]
        order, scores = order[again], scores[again]
    return keep


def rescore(keypoint_scores, box_score, threshold=0.2):
    total, valid = 0.0, 0
    for score in keypoint_scores:
        if score > threshold:
            total, valid = total + score, valid + 1
    return (total / valid if valid else total) * box_score


def pckh(points, truth, missing, heads, names):
    """lib/dataset/mpii.py, evaluate; arrays as in gt_valid.mat: (16, 2, N), (16, 2, N), (16, N), (2, 2, N)."""
    visible = 1 - missing
    error = np.linalg.norm(points - truth, axis=1)
    scaled = error / (np.linalg.norm(heads[1] - heads[0], axis=0) * 0.6) * visible
    count = visible.sum(1)
    score = 100.0 * ((scaled <= 0.5) * visible).sum(1) / count
    tenth = 100.0 * ((scaled <= np.arange(0, 0.5 + 0.01, 0.01)[11]) * visible).sum(1) / count
    chosen = [j for j in range(16) if j not in (6, 7)]
    ratio = count[chosen] / count[chosen].sum()
    at = {name: score[names.index(name)] for name in names}
    pairs = {"Shoulder": "sho", "Elbow": "elb", "Wrist": "wri", "Hip": "hip", "Knee": "kne", "Ankle": "ank"}
    return {
        "Head": at["head"],
        **{name: 0.5 * (at["l" + short] + at["r" + short]) for name, short in pairs.items()},
        "Mean": (score[chosen] * ratio).sum(),
        "Mean@0.1": (tenth[chosen] * ratio).sum(),
    }
