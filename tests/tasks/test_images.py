"""Pictures from every source and in every state."""

import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from hrnet_fast.tasks.images import ImageError, Stored, read_image

H, W = 37, 53


def picture():
    """Smooth colours, so that JPEG keeps them nearly."""
    y, x = np.mgrid[:H, :W]
    return np.stack([x * 4, y * 6, 255 - x * 2 - y], axis=2).astype(np.uint8)


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def rgb():
    return Image.fromarray(picture())


def sources(tmp_path):
    array = picture()
    path = tmp_path / "a b.png"
    rgb().save(path)
    padded = np.zeros((H + 2, W + 3, 3), np.uint8)
    padded[1:-1, 2:-1] = array
    read_only = array.copy()
    read_only.setflags(write=False)
    return {
        "path": path,
        "str": str(path),
        "bytes": path.read_bytes(),
        "bytearray": bytearray(path.read_bytes()),
        "open file": io.BytesIO(path.read_bytes()),
        "PIL": rgb(),
        "array": array,
        "slice of an array": padded[1:-1, 2:-1],
        "mirrored array": array[:, ::-1][:, ::-1],
        "read-only array": read_only,
        "RGBA array": np.dstack([array, array[..., 0]]),
        "tensor": torch.from_numpy(array).permute(2, 0, 1).contiguous(),
        "channels-last tensor": torch.from_numpy(array).permute(2, 0, 1),
    }


@pytest.mark.parametrize("source", [
    "path", "str", "bytes", "bytearray", "open file", "PIL", "array", "slice of an array", "mirrored array",
    "read-only array", "RGBA array", "tensor", "channels-last tensor",
])  # fmt: skip
def test_every_source_gives_the_same_pixels(tmp_path, source):
    image = read_image(sources(tmp_path)[source])
    assert image.dtype == torch.uint8 and image.shape == (H, W, 3) and image.is_contiguous()
    assert np.array_equal(image.numpy(), picture())


def test_an_array_that_fits_is_not_copied():
    array = picture()
    assert read_image(array).data_ptr() == array.ctypes.data


def test_a_single_row_may_run_backwards():
    row = np.array(rgb())[:1]
    assert np.array_equal(read_image(row[::-1]).numpy(), row)
    assert np.array_equal(read_image(row[:, ::-1]).numpy(), row[:, ::-1])


def test_a_jpeg_gives_what_opencv_gives():
    cv2 = pytest.importorskip("cv2")
    data = encoded(rgb(), "JPEG", quality=90)
    want = cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    assert np.abs(read_image(data).numpy().astype(int) - want).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_16_bit_grey_keeps_its_high_byte(kind):
    values = np.linspace(0, 0xFFFF, H * W).reshape(H, W).astype(np.uint16)
    image = read_image(encoded(Image.fromarray(values), kind))
    assert np.array_equal(image.numpy(), np.repeat((values >> 8).astype(np.uint8)[..., None], 3, axis=2))


@pytest.mark.parametrize(
    "grey",
    [
        picture()[..., 0],
        picture()[..., 0].view(np.matrix),
        picture()[..., :1],
        torch.from_numpy(picture()[None, ..., 0]),
    ],
    ids=["(H, W) array", "matrix", "(H, W, 1) array", "(1, H, W) tensor"],
)
def test_one_channel_is_repeated(grey):
    assert np.array_equal(read_image(grey).numpy(), np.repeat(picture()[..., :1], 3, axis=2))


def test_a_palette_with_transparency_keeps_its_colours_without_a_warning(recwarn):
    image, file = Image.new("P", (2, 1)), io.BytesIO()
    image.putpalette([1, 2, 3, 4, 5, 6])
    image.putpixel((1, 0), 1)
    image.save(file, "PNG", transparency=bytes([0, 128]))
    assert read_image(file.getvalue()).tolist() == [[[1, 2, 3], [4, 5, 6]]] and not recwarn.list


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "RGBX", "CMYK", "YCbCr"])
def test_every_mode_of_a_file_becomes_rgb(mode):
    stored = rgb().convert(mode)
    image = read_image(encoded(stored, "TIFF" if mode in ("CMYK", "YCbCr", "RGBX") else "PNG"))
    assert np.array_equal(image.numpy(), np.asarray(stored.convert("RGB")))


def test_premultiplied_grey_is_read():
    grey = rgb().convert("LA")
    assert np.array_equal(read_image(grey.convert("La")).numpy(), read_image(grey).numpy())


def test_a_cmyk_jpeg_has_the_colours_that_it_shows():
    image = read_image(encoded(rgb().convert("CMYK"), "JPEG", quality=95))
    assert np.abs(image.numpy().astype(int) - picture()).mean() < 4


def test_alpha_is_dropped_not_blended():
    stored = rgb()
    stored.putalpha(Image.fromarray(picture()[..., 1]))
    assert np.array_equal(read_image(encoded(stored, "PNG")).numpy(), picture())


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_of_an_animation_the_first_frame_is_read(kind):
    grey = Image.new("RGB", (W, H), (90, 90, 90))
    data = encoded(grey, kind, save_all=True, append_images=[Image.new("RGB", (W, H), (9, 200, 9))], duration=50)
    assert np.abs(read_image(data).numpy().astype(int) - 90).max() <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_exif_orientation_is_applied(tmp_path, kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{kind.lower()}"
    rgb().save(path, exif=exif)
    with Image.open(path) as stored:
        want = np.asarray(ImageOps.exif_transpose(stored).convert("RGB"))
        lying = np.asarray(stored.convert("RGB"))
        assert np.array_equal(read_image(Stored(stored)).numpy(), lying)
    assert np.array_equal(read_image(path).numpy(), want)
    for source in (path, path.read_bytes(), lying):
        assert np.array_equal(read_image(Stored(source)).numpy(), lying)


@pytest.mark.parametrize("orientation", [0, 9])
def test_an_exif_orientation_that_there_is_not_says_nothing(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert read_image(encoded(rgb(), "PNG", exif=exif)).tolist() == np.asarray(rgb()).tolist()


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_data_do_not_hide_the_picture():
    image = read_image(encoded(rgb(), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\x7f"))
    assert image.shape == (H, W, 3)


def cut(kind, share=0.6):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    data = encoded(noise, kind)
    return data[: int(len(data) * share)]


BAD_FILES = {
    "empty": (b"", "is not a picture"),
    "text": (b"not a picture", "is not a picture"),
    "first bytes only": (cut("JPEG")[:3], "not a picture|cannot be opened"),
    "cut JPEG": (cut("JPEG"), "is cut off or damaged"),
    "cut PNG": (cut("PNG"), "is cut off or damaged"),
    "cut GIF": (cut("GIF"), "is cut off or damaged"),
    "cut BMP": (cut("BMP"), "is cut off or damaged"),
    "cut WEBP": (cut("WEBP"), "is cut off or damaged|cannot be opened|is not a picture"),
    "DDS of no known kind": (encoded(rgb(), "DDS")[:80] + b"\4\0\0\0XXXX" + bytes(40), "cannot be opened"),
    "float TIFF": (encoded(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"), "floating-point pixels"),
    "few of 32 bits": (encoded(Image.fromarray(np.full((4, 4), 93, np.int32)), "TIFF"), "32-bit pixels"),
    "32-bit TIFF": (encoded(Image.fromarray(np.full((4, 4), 1 << 20, np.int32)), "TIFF"), "32-bit pixels"),
}


@pytest.mark.parametrize(("data", "part"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_file_is_named_in_one_sentence(tmp_path, data, part):
    path = tmp_path / "bad.jpg"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=part) as raised:
        read_image(path)
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)
    with pytest.raises(ImageError, match="the file of the given bytes (is|has|holds|cannot)"):
        read_image(data)


class Pipe(io.RawIOBase):
    """An open file that cannot be wound back, as a socket's, and gives its bytes in another form."""

    def read(self):
        return memoryview(encoded(rgb(), "PNG"))


def test_open_files_are_left_as_they_were():
    file = io.BytesIO(b"before" + encoded(rgb(), "PNG"))
    file.seek(6)
    for source in (file, file, Pipe()):
        assert np.array_equal(read_image(source).numpy(), picture())
    file.seek(0, io.SEEK_END)
    with pytest.raises(ImageError, match="the given file is empty from where it stands: wind it back"):
        read_image(file)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path):
    with pytest.raises(ImageError, match="https://a.b/c.jpg is an address, and nothing is downloaded here"):
        read_image("https://a.b/c.jpg")
    with pytest.raises(FileNotFoundError, match="there is no picture .*none.jpg"):
        read_image(tmp_path / "none.jpg")
    with pytest.raises(ImageError, match="[Ii]s a directory"):
        read_image(tmp_path)


def test_a_picture_of_too_many_pixels_is_refused(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", H * W // 3)
    with pytest.raises(ImageError, match="more pixels than"):
        read_image(encoded(rgb(), "PNG"))


@pytest.mark.parametrize(
    ("source", "error", "part"),
    [
        (np.zeros((4, 4, 3), np.float32), TypeError, "uint8 .* not float32"),
        (np.zeros((4, 4, 2), np.uint8), ImageError, r"not \(4, 4, 2\)"),
        (np.zeros((0, 4, 3), np.uint8), ImageError, r"not \(0, 4, 3\)"),
        (np.zeros(4, np.uint8), ImageError, r"not \(4,\)"),
        (torch.zeros(3, 4, 4), TypeError, "not torch.float32"),
        (torch.zeros(4, 4, 5, dtype=torch.uint8)[:2], ImageError, r"not \(2, 4, 5\)"),
        (torch.zeros(17, 19, 3, dtype=torch.uint8), ImageError, r"give \(H, W, 3\) as an array"),
        (torch.zeros(3, 4, 4, dtype=torch.uint8, device="meta"), ImageError, "must hold its pixels"),
        (torch.zeros(3, 4, 4, dtype=torch.uint8).to_sparse(), ImageError, "must hold its pixels"),
        (None, TypeError, "not NoneType"),
        ([1, 2], TypeError, "not list"),
        (io.StringIO("a picture"), TypeError, "opened as text"),
        (io.TextIOWrapper(io.BytesIO(b"\xff\xd8\xff"), "utf-8"), TypeError, "opened as text"),
    ],
    ids=["float array", "two channels", "no rows", "a line", "float tensor", "two-channel tensor", "HWC tensor", "meta",
         "sparse", "None", "list", "text", "no text"],
)  # fmt: skip
def test_what_is_no_picture_is_refused(source, error, part):
    with pytest.raises(error, match=part):
        read_image(source)
