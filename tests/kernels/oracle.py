"""Resizing by its definition, in extended precision with numpy: shares no code with torch or with the kernels."""

import numpy as np
import torch


def axis_matrix(n_in: int, n_out: int, mode: str, align_corners: bool) -> np.ndarray:
    """[n_out, n_in]: the weight of each source position for each output position."""
    matrix = np.zeros((n_out, n_in), dtype=np.longdouble)
    for i in range(n_out):
        if mode == "nearest":  # torch takes the index in float32: that rounding is part of the definition
            matrix[i, min(int(np.float32(i) * (np.float32(n_in) / np.float32(n_out))), n_in - 1)] = 1
            continue
        if align_corners:
            source = np.longdouble(i) * (n_in - 1) / (n_out - 1) if n_out > 1 else np.longdouble(0)
        else:
            source = max((np.longdouble(i) + 0.5) * n_in / n_out - 0.5, np.longdouble(0))
        lo = min(int(source), n_in - 1)
        matrix[i, lo] += 1 - (source - lo)
        matrix[i, min(lo + 1, n_in - 1)] += source - lo
    return matrix


def resize(x: torch.Tensor, size, mode: str, align_corners: bool) -> np.ndarray:
    rows = axis_matrix(x.shape[2], size[0], mode, align_corners)
    cols = axis_matrix(x.shape[3], size[1], mode, align_corners)
    return np.einsum("yh,nchw,xw->ncyx", rows, x.double().numpy().astype(np.longdouble), cols)


def fuse_sum(terms, size, mode, align_corners, relu) -> np.ndarray:
    total = sum(resize(x, size, mode, align_corners) for x in terms)
    return np.maximum(total, 0) if relu else total


def resize_concat(maps, size, mode, align_corners) -> np.ndarray:
    return np.concatenate([resize(x, size, mode, align_corners) for x in maps], axis=1)


def error(got: torch.Tensor, expected: np.ndarray) -> float:
    """L2 error, relative unless all that is expected is zero; NaN if anything is NaN."""
    difference = got.double().numpy().astype(np.longdouble) - expected
    return float(np.sqrt((difference**2).sum() / ((expected**2).sum() or 1)))
