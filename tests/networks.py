"""Networks that many tests play: small, with the weights of `tests.golden`."""

from dataclasses import replace

from hrnet_fast import create_model, model_config
from hrnet_fast.models.config import Architecture
from hrnet_fast.models.registry import MODEL_CLASSES
from hrnet_fast.plan import inference_view, make_plan, named_tensors
from tests.golden import fill

SMALL = "hrnet_w18_small"
TINY = Architecture("tiny", (6, 12, 24, 96), layer1_blocks=1, layer1_planes=8, modules=(1, 1, 1), blocks=1)


def small_net(tag="pose_coco_256x192", **options):
    return fill(create_model(f"{SMALL}.{tag}", **options))


def tiny_net(tag, **options):
    """All that HRNet is made of, once, for whoever plays it slowly."""
    config = replace(model_config(f"{SMALL}.{tag}", **options), architecture=TINY)
    return fill(MODEL_CLASSES[config.head](config))


def planned(module, *inputs):
    """(plan, tensors), as executors take them."""
    return make_plan(inference_view(module), *inputs), named_tensors(module)
