"""A row of requests; apart from what measures it, so that a report needs no OpenCV."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.sheet import Made

OURS, PLAIN = "hrnet_fast", "plain torch"


@dataclass(frozen=True)
class Row:
    """One runner on one kind of request.

    what: "pose", "segmentation" or "decode" (heatmaps to keypoints alone). model: its name, empty for "decode".
    picture: HxW of the JPEG, or of the heatmaps. people: in the picture. runner: OURS or PLAIN.
    p10_us, p50_us, p90_us: microseconds a request; stages: stage -> median microseconds; samples: requests timed.
    around: median share of a request that is not the network, 0 to 1. check: what was found right before the timing.
    """

    what: str
    model: str
    picture: str
    people: int
    runner: str
    p10_us: float
    p50_us: float
    p90_us: float
    samples: int
    stages: dict[str, float]
    around: float
    check: str
    made: Made

    @property
    def case(self) -> tuple[str, str, str, int]:
        return self.what, self.model, self.picture, self.people

    @property
    def key(self) -> tuple[str, str, str, int, str]:
        return (*self.case, self.runner)
