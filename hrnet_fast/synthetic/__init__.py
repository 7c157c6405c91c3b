"""Data that exists everywhere: figures, faces and scenes on photographs, with annotations that are true of them.

`*_scene(seed, size)` gives a picture and its truth in memory; `write_*(root, images, seed, size)` writes a small data
set in the original files of the data set that it is named after. The same seed gives the same annotations, and with the
same versions of the packages the same bytes; only where OpenCV finds other vector instructions (no AVX2, say), one
pixel in ten thousand differs by a grey level or two.
"""

from .cityscapes import write_cityscapes
from .coco import write_coco
from .crowdpose import write_crowdpose
from .faces import write_300w, write_aflw, write_cofw, write_wflw
from .imagenet import write_imagenet
from .mpii import write_mpii
from .parsing import write_lip, write_pascal_context
from .people import PersonTruth, figure_scene
from .photographs import background, describe_photographs
from .portraits import ATTRIBUTES, FaceTruth, face_scene
from .scenes import PLACES, parsing_scene, place_scene
from .streets import StreetTruth, street_scene

# Data set, as `hrnet_fast.tasks.<task>.DATASETS` names it -> its writer.
WRITERS = {
    "coco": write_coco,
    "mpii": write_mpii,
    "crowdpose": write_crowdpose,
    "cityscapes": write_cityscapes,
    "lip": write_lip,
    "pascal_context59": write_pascal_context,
    "pascal_context60": write_pascal_context,
    "wflw": write_wflw,
    "300w": write_300w,
    "cofw": write_cofw,
    "aflw": write_aflw,
    "imagenet": write_imagenet,
}

__all__ = [
    "ATTRIBUTES",
    "PLACES",
    "WRITERS",
    "FaceTruth",
    "PersonTruth",
    "StreetTruth",
    "background",
    "describe_photographs",
    "face_scene",
    "figure_scene",
    "parsing_scene",
    "place_scene",
    "street_scene",
    "write_300w",
    "write_aflw",
    "write_cityscapes",
    "write_coco",
    "write_cofw",
    "write_crowdpose",
    "write_imagenet",
    "write_lip",
    "write_mpii",
    "write_pascal_context",
    "write_wflw",
]
