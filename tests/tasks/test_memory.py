"""evaluate holds its memory flat: pictures, crops and maps are let go, whatever the size of the data set."""

import copy
import ctypes
from itertools import cycle, islice

import pytest
from torch import nn

from hrnet_fast.synthetic import WRITERS
from hrnet_fast.tasks.registry import package_of

IMAGES = 160
SIZE = (360, 480)
PICTURE = SIZE[0] * SIZE[1] * 3  # bytes
# task -> (data set, outputs of the network)
TASKS = {
    "pose": ("coco", 17),
    "segmentation": ("cityscapes", 19),
    "landmark": ("wflw", 98),
    "classification": ("imagenet", 4),
}


def resident():
    """Bytes of this process's data in memory now, without those that the allocator keeps for later."""
    if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
    try:
        with open("/proc/self/status") as file:  # pages of files come and go, as the system likes
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("RssAnon:"))
    except (OSError, StopIteration):
        pytest.skip("this system does not say how much memory a process has")


def repeated(dataset, length):
    """The data set with its samples again and again; of its own kind, by which pose chooses the metric."""
    samples, kind = list(dataset), type(dataset)
    again = {"__iter__": lambda self: islice(cycle(samples), length), "__len__": lambda self: length}
    copied = copy.copy(dataset)
    object.__setattr__(copied, "__class__", type(f"Repeated{kind.__name__}", (kind,), again))
    return copied


def tiny_network(task, outputs):
    """Two strided convolutions: quarter-size maps, or classes."""
    layers = [nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, outputs, 3, 2, 1)]
    if task == "classification":
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers).eval()


@pytest.mark.parametrize("task", TASKS)
def test_memory_does_not_grow_with_the_data_set(tmp_path, task):
    name, outputs = TASKS[task]
    package = package_of(task)
    WRITERS[name](tmp_path, images=4, size=SIZE)
    options = {"size": "native"} if task == "segmentation" else {}
    estimator = package.Estimator(tiny_network(task, outputs), **options)
    dataset = repeated(package.DATASETS[name](tmp_path), IMAGES)
    done, memory = [0], {}

    def progress(more):
        done[0] += more
        memory[done[0]] = resident()

    assert package.evaluate(estimator, dataset, progress=progress).images == IMAGES == done[0]
    # The lowest of a quarter, since what the allocator keeps for later comes and goes.
    quarters = [IMAGES // 4, IMAGES // 2, 3 * IMAGES // 4, IMAGES]
    second, last = (
        min(bytes_ for images, bytes_ in memory.items() if first < images <= end)
        for first, end in (quarters[:2], quarters[2:])
    )
    held = (last - second) / (IMAGES // 2)
    assert held < PICTURE / 4, f"{held / 1e3:.0f} kB stay in memory of each picture"
