"""Pictures that ask to be shown turned."""

from PIL import Image


def turn(path):
    """Stores a picture's pixels as they are, with the EXIF orientation of a camera that was held upright."""
    with Image.open(path) as image:
        image.load()
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(path, "PNG", exif=exif)
