"""Top-k accuracy, as it streams by."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


class TopK:
    """The share of pictures whose class is among the k likeliest, in per cent.

    Source: accuracy() in lib/core/evaluate.py of HRNet-Image-Classification. Holds counts only.
    ks: for fewer classes than k, every picture counts as right, as there.
    """

    def __init__(self, ks: Sequence[int] = (1, 5)) -> None:
        self.ks = tuple(ks)
        self.images = 0
        self._right = dict.fromkeys(self.ks, 0)

    def add(
        self,
        scores: Tensor,  # (N, classes): logits or probabilities
        labels: Tensor,  # (N,) int64
    ) -> None:
        """ValueError for labels outside the classes and for scores that are not numbers."""
        classes = scores.shape[1]
        if len(labels) != len(scores):
            raise ValueError(f"{len(scores)} rows of scores cannot be compared with {len(labels)} labels")
        if bad := [label for label in labels.tolist() if not 0 <= label < classes]:
            raise ValueError(f"there is a label {bad[0]}, but the classes are 0 to {classes - 1}")
        if scores.isnan().any():
            raise ValueError("the scores hold NaN: the network's weights or its input are broken")
        best = scores.topk(min(max(self.ks), classes), dim=1).indices
        right = best.eq(labels.to(best.device)[:, None])
        for k in self.ks:
            self._right[k] += int(right[:, :k].sum())
        self.images += len(labels)

    def result(self) -> dict[str, float]:
        """{"top-1": per cent, ...}; ValueError if nothing was added."""
        if not self.images:
            raise ValueError("no picture was evaluated, so there is no accuracy")
        return {f"top-{k}": 100.0 * right / self.images for k, right in self._right.items()}
