"""The networks that the report is about, what is aimed at for each, and a tiny one for dry runs."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.cases import Case
from benchmarks.text import grouped

DTYPES = ("float16", "bfloat16")


@dataclass(frozen=True)
class Workload:
    """A network at one input.

    label: as tables show it. first_us, then_us: what a forward should take, first and in the end; first_ratio: how many
    times as fast as the best baseline it should be; floor_us: the sum of its levels' roofline times on an H200. Times
    are microseconds of one batch on an H200; None where nothing is aimed at.
    """

    label: str
    model: str
    height: int
    width: int
    batch: int
    first_us: float | None = None
    first_ratio: float | None = None
    then_us: float | None = None
    floor_us: float | None = None

    def case(self, dtype: str) -> Case:
        return Case(self.model, self.height, self.width, self.batch, dtype)

    @property
    def aim(self) -> str:
        """'≤ 250 µs, ≥ 4x; then ≤ 180 µs'."""
        parts = [f"≤ {self.first_us:g} µs"] if self.first_us else []
        parts += [f"≥ {self.first_ratio:g}x"] if self.first_ratio else []
        return ", ".join(parts) + (f"; then ≤ {self.then_us:g} µs" if self.then_us else "")


_POSE32, _POSE48 = "hrnet_w32.pose_coco_256x192", "hrnet_w48.pose_coco_384x288"
_CLS18, _SEG18, _SEG48 = "hrnet_w18.cls_in1k", "hrnet_w18.seg_cityscapes", "hrnet_w48.seg_cityscapes"

WORKLOADS = (
    Workload("W32 pose 256x192 b1", _POSE32, 256, 192, 1, 250, 4.0, 180, 37),
    Workload("W48 pose 384x288 b1", _POSE48, 384, 288, 1, 380, 3.0, 300, 116),
    Workload("W18 class 224 b1", _CLS18, 224, 224, 1, 260, 4.0, 190, 29),
    Workload("W18 seg 512x1024 b1", _SEG18, 512, 1024, 1, 750, 1.7, 500, 200),
    Workload("W48 seg 1024x2048 b1", _SEG48, 1024, 2048, 1, None, 1.2, 3800, 2300),
    Workload("W32 pose 256x192 b64", _POSE32, 256, 192, 64, None, 1.2, 2909, 1798),  # 22,000 and 35,600 images a second
)

DRY_RUN = (Workload("W18 small pose 64 b1", "hrnet_w18_small.pose_coco_256x192", 64, 64, 1, 1e9, 0.0, None, None),)
DRY_DTYPES = ("float32",)


def asked(dry_run: bool) -> list[tuple[Workload, str]]:
    """Every workload in every dtype, the first dtype of all workloads first."""
    workloads, dtypes = (DRY_RUN, DRY_DTYPES) if dry_run else (WORKLOADS, DTYPES)
    return [(workload, dtype) for dtype in dtypes for workload in workloads]


def cases_by_dtype(dry_run: bool) -> list[list[Case]]:
    return grouped((workload.case(dtype) for workload, dtype in asked(dry_run)), lambda case: case.dtype)


def workload_of(case: Case) -> Workload:
    """The workload that a case belongs to. Errors: KeyError for a case of none."""
    for workload in (*WORKLOADS, *DRY_RUN):
        if workload.case(case.dtype) == case:
            return workload
    raise KeyError(str(case))


def label(case: Case) -> str:
    """'W32 pose 256x192 b1 float16'."""
    return f"{workload_of(case).label} {case.dtype}"
