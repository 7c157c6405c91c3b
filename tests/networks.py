"""Networks that many tests play: small, with the weights of `tests.golden`."""

from hrnet_fast import create_model
from hrnet_fast.plan import inference_view, make_plan, named_tensors
from tests.golden import fill

SMALL = "hrnet_w18_small"


def small_net(tag="pose_coco_256x192", **options):
    return fill(create_model(f"{SMALL}.{tag}", **options))


def planned(module, *inputs):
    """(plan, tensors), as executors take them."""
    return make_plan(inference_view(module), *inputs), named_tensors(module)
