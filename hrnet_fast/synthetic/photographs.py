"""Real photographs behind what is drawn: the user's own, or the one that comes with matplotlib.

matplotlib ships a portrait (mpl-data/sample_data/grace_hopper.jpg, a work of the United States Navy in the public
domain). Its sitter is a person whom no annotation would mention, so only the flag and the backdrop beside her are used.
"""

from __future__ import annotations

import functools
import importlib.util
import random
from pathlib import Path

import numpy as np

from ..tasks.optional import opencv, pillow

SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".webp"}
LEAST_SIDE = 32  # pixels; in smaller pictures hardly anything can be told apart
# Of the portrait, 512 x 600 pixels: (left, top, right, bottom) of what shows no person.
_FREE_OF_PEOPLE = ((0, 0, 138, 350), (388, 0, 512, 360))


def describe_photographs(folder: str | Path | None = None) -> str:
    """Where the backgrounds come from, in words: a folder, matplotlib's sample, or "generated texture"."""
    if folder is not None:
        return f"{len(_files(Path(folder)))} photographs of {folder}"
    return "matplotlib's sample photograph" if _sample() is not None else "generated texture"


def background(rng: random.Random, size: tuple[int, int], folder: str | Path | None = None) -> np.ndarray:
    """A crop of a photograph, mirrored, tinted and blurred at random: uint8 (H, W, 3) RGB.

    rng decides everything, by a number of draws that is the same for every source; size: (H, W).
    folder: photographs to use instead, which should show none of what the generator annotates.
    Errors: ValueError for a size below LEAST_SIDE and for a file that cannot be read; FileNotFoundError if the folder
    holds no photograph.
    """
    if min(size) < LEAST_SIDE:
        raise ValueError(f"the size is {size[0]} x {size[1]}; pictures need at least {LEAST_SIDE} pixels a side")
    cv2 = opencv()
    which, left, top, share, hue, warmth, gain, blur = (rng.random() for _ in range(8))
    mirror = rng.random() < 0.5
    photograph = _choose(which, folder)
    if photograph is None:
        image = _texture(int(left * 2**31), size)
    else:
        image = _crop(photograph, size, 0.5 + 0.5 * share, left, top)
    if mirror:
        image = image[:, ::-1]
    pixels = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2HSV)
    pixels[..., 0] = (pixels[..., 0].astype(np.int32) + int(hue * 180)) % 180
    pixels[..., 1] = (pixels[..., 1] * np.float32(0.35 + 0.4 * warmth)).astype(np.uint8)
    pixels = cv2.cvtColor(pixels, cv2.COLOR_HSV2RGB).astype(np.float32) * (0.75 + 0.4 * gain)
    sigma = (0.3 + 1.5 * blur) * size[0] / 480
    return np.clip(cv2.GaussianBlur(pixels, (0, 0), sigma), 0, 255).astype(np.uint8)


def _choose(which: float, folder: str | Path | None) -> np.ndarray | None:
    if folder is not None:
        files = _files(Path(folder))
        return _read(files[int(which * len(files))])
    sample = _sample()
    if sample is None:
        return None
    left, top, right, bottom = _FREE_OF_PEOPLE[int(which * len(_FREE_OF_PEOPLE))]
    return _read(sample)[top:bottom, left:right]


def _crop(photograph: np.ndarray, size: tuple[int, int], share: float, left: float, top: float) -> np.ndarray:
    """The largest box of the size's shape, times share, at a random place, resized."""
    cv2 = opencv()
    height, width = photograph.shape[:2]
    scale = share * min(width / size[1], height / size[0])
    w, h = max(1, round(size[1] * scale)), max(1, round(size[0] * scale))
    x, y = int(left * (width - w + 1)), int(top * (height - h + 1))
    shrinks = w > size[1]
    return cv2.resize(
        photograph[y : y + h, x : x + w],
        (size[1], size[0]),
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC,
    )


def noise(seed: int, size: tuple[int, int], coarse: int = 6) -> np.ndarray:
    """Smooth noise of several scales, float32 (H, W), about 0 to 1."""
    cv2 = opencv()
    generator = np.random.default_rng(seed)
    total = np.zeros(size, np.float32)
    for octave in range(4):
        cells = coarse * 2**octave
        grid = generator.random((cells + 1, max(2, round(cells * size[1] / size[0]) + 1)), dtype=np.float32)
        total += cv2.resize(grid, (size[1], size[0]), interpolation=cv2.INTER_CUBIC) * np.float32(0.5 ** (octave + 1))
    return total


def _texture(seed: int, size: tuple[int, int]) -> np.ndarray:
    """Clouds of two colours, for a machine without any photograph."""
    cloud = np.clip(noise(seed, size), 0, 1)[..., None]
    light, dark = np.array(((205, 180, 140), (60, 80, 110)), np.float32)
    return (cloud * light + (1 - cloud) * dark).astype(np.uint8)


@functools.lru_cache(maxsize=8)
def _read(path: Path) -> np.ndarray:
    try:
        with pillow().open(path) as image:
            return np.asarray(image.convert("RGB"))
    except OSError as error:
        raise ValueError(f"{path} cannot be read as a photograph ({error}): remove it from the folder") from None


def _files(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES) if folder.is_dir() else []
    if not found:
        kinds = ", ".join(sorted(SUFFIXES))
        raise FileNotFoundError(f"{folder} holds no photograph ({kinds}): give a folder that does, or none at all")
    return found


@functools.cache
def _sample() -> Path | None:
    """matplotlib's portrait, found without importing matplotlib."""
    package = importlib.util.find_spec("matplotlib")
    for place in (package.submodule_search_locations or ()) if package else ():
        path = Path(place, "mpl-data", "sample_data", "grace_hopper.jpg")
        if path.is_file():
            return path
    return None
