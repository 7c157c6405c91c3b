"""The one door from pictures to networks: a name or a module in, an optimized network out."""

from __future__ import annotations

import copy
import os
import warnings
from collections import namedtuple
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ..api import OptimizedModule, Plan, known_device, optimize
from ..models import HRNetConfig, create_model, list_models, model_config
from ..models.faster_rcnn import BBoxHead
from ..models.registry import MODEL_CLASSES
from ..saved import SavedNetwork, is_saved, read_network
from ..weights import CheckpointError, LoadReport, load_weights
from ..weights.random import fill_weights, without_init
from .registry import HEADS, task_of

# Pieces that a batch is split into: any size then needs the plans of five shapes only.
PIECES = (16, 8, 4, 2, 1)
# A piece of more than one image holds at most as many pixels as one picture of Cityscapes (1024 x 2048).
MAX_PIXELS = 1 << 21

# Height and width for a module that does not say its own: the sizes of the papers' tables.
_INPUT_SIZES = {
    "pose": (256, 192),
    "segmentation": (1024, 2048),
    "landmark": (256, 256),
    "classification": (224, 224),
    "bottom_up": (512, 512),
    "detection": (800, 1344),
}


class RandomWeightsWarning(UserWarning):
    """A network was named without weights, so that its results mean nothing."""


class Network:
    """An optimized network that takes batches of any size.

    module: the OptimizedModule. name: the model's. config: its HRNetConfig, None for a module of another code base.
    task: what its outputs are read as. input_size: (height, width) of the images that it was made for. device: where
    images must lie. num_outputs: keypoints, landmarks or classes. random_weights: True if no weights were given for a
    name, so that results mean nothing. loaded: the report of loading the weights, None if they were not loaded here.
    """

    def __init__(
        self,
        module: OptimizedModule,
        task: str,
        name: str,
        input_size: tuple[int, int],
        *,
        config: HRNetConfig | None = None,
        random_weights: bool = False,
        loaded: LoadReport | None = None,
    ) -> None:
        self.module, self.task, self.name = module, task, name
        height, width = input_size
        self.input_size = (height, width)
        self.config, self.random_weights, self.loaded = config, random_weights, loaded
        plan = _plan(module, self.input_size)
        _check_outputs(task, name, plan)
        # of a detector the regions' classes, which are none of the network's outputs
        self.num_outputs = config.num_outputs if config and task == "detection" else _output_shapes(plan)[-1][1]

    @property
    def device(self) -> torch.device:
        return self.module.device

    @property
    def box_head(self) -> BBoxHead:
        """Of a detector: what says what a region is, with the weights of now."""
        head = getattr(self.module.original, "bbox_head", None)
        if not isinstance(head, BBoxHead):
            raise TypeError(f"{self.name} is no detector")
        return head

    @property
    def official_name(self) -> str:
        """The name in `list_models`, if this is that network in every respect; "" for any other."""
        known = self.name in list_models() and self.config == model_config(self.name)
        return self.name if known else ""

    def __call__(self, images: Tensor) -> Tensor | list[Tensor]:
        """The network's outputs.

        images: (N, 3, H, W) float32, normalised, on `device`; N may be 0.
        Returns (N, K, H/4, W/4) maps or (N, classes) logits in the images' dtype; of a network with several outputs
        (OCR: the auxiliary one first, as official; HigherHRNet: as `models.heads.HigherHRNet`) a list of them.
        Errors: ValueError for another shape; RuntimeError if an output holds NaN or infinity.
        """
        if images.dim() != 4 or images.shape[1] != 3:
            raise ValueError(f"a network takes images (N, 3, H, W), not {tuple(images.shape)}")
        pieces = _pieces(len(images), images.shape[2] * images.shape[3])
        if not pieces:
            return self._empty(images)
        results = [pytree.tree_leaves(self.module(piece)) for piece in images.split(pieces)]
        outputs = [_joined(parts) for parts in zip(*results) if parts[0] is not None]
        # one check for all pieces and outputs, since reading its answer waits for the GPU
        if not torch.stack([bound for output in outputs for bound in output.aminmax()]).isfinite().all():
            raise RuntimeError(
                f"{self.name} gave NaN or infinite values: compute in float32 (dtype=torch.float32), or check its "
                "weights"
            )
        return outputs[0] if len(outputs) == 1 else outputs

    def _empty(self, images: Tensor) -> Tensor | list[Tensor]:
        shapes = _output_shapes(_plan(self.module, images.shape[2:]))
        empties = [images.new_empty((0, *shape[1:])) for shape in shapes]
        return empties[0] if len(empties) == 1 else empties

    def __repr__(self) -> str:
        weights = "random weights" if self.random_weights else self.loaded.source if self.loaded else "its own weights"
        return f"Network({self.name}, {self.task}, {weights}, {self.module.executor.name} executor on {self.device})"


def listed(outputs: Tensor | list[Tensor]) -> list[Tensor]:
    """A network's outputs, also where it has only one."""
    return [outputs] if isinstance(outputs, Tensor) else outputs


def open_network(
    model: str | os.PathLike[str] | nn.Module,
    weights: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    *,
    task: str,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    executor: str = "auto",
    input_size: tuple[int, int] | None = None,
) -> Network:
    """The network of `model`, optimized, for a task.

    model: a name of `hrnet_fast.list_models`, a file that `hrnet_fast.save` wrote, or any module that
        `hrnet_fast.optimize` takes; it is not changed.
    weights: a checkpoint of any HRNet code base, or a state dict. A name without weights gets random ones, the same in
        every process; `random_weights` says so, and a RandomWeightsWarning.
    task: "pose", "segmentation", "landmark", "classification", "bottom_up" or "detection".
    dtype, executor: as `hrnet_fast.optimize`. device: None for where the module is, or the CPU.
    input_size: (height, width); None for the model's own, or the one it was saved for, or that of the paper's table.
    Errors: KeyError for an unknown name; ValueError for a head that does not fit the task, for weights without the
        head (CheckpointError), for a device that is not here, and for what `optimize` refuses; TypeError for another
        kind of model or dtype.
    """
    if task not in HEADS:
        raise ValueError(f"task {task!r} is not known; choose one of {', '.join(HEADS)}")
    if dtype is not None and not isinstance(dtype, torch.dtype):
        raise TypeError(f"dtype is a torch.dtype such as torch.bfloat16, not {dtype!r}")
    device = None if device is None else known_device(device)
    if isinstance(model, (str, os.PathLike)) and is_saved(model):
        model = read_network(model)
    plain: nn.Module
    if isinstance(model, str):
        with without_init():
            plain = named = create_model(model)
        _check_head(task, named.config)
        fill_weights(plain)
        if weights is None:
            said = f"{model} has random weights, so its results mean nothing: name a checkpoint with weights="
            warnings.warn(said, RandomWeightsWarning, stacklevel=3)
    elif isinstance(model, nn.Module):
        plain = model
        if isinstance(model, OptimizedModule):
            plain, dtype = model.original, dtype or model.requested_dtype
        if config := _config(plain):
            _check_head(task, config)
        if task == "detection":
            plain = _detector(plain)
        if weights is not None or _moves(plain, device):
            plain = copy.deepcopy(plain)
    else:
        raise TypeError(
            "a model is a name of hrnet_fast.list_models(), a .safetensors file of hrnet_fast.save or an nn.Module, "
            f"not {type(model).__name__}"
        )
    loaded = None if weights is None else load_all(plain, weights)
    if device is not None:
        plain.to(device)
    config = _config(plain)
    size = input_size or _own_size(plain) or _INPUT_SIZES[task]
    example = torch.empty(1, 3, *size, device="meta")
    return Network(
        optimize(plain, dtype=dtype, executor=executor, example=example),
        task,
        config.name if config else type(plain).__name__,
        size,
        config=config,
        random_weights=isinstance(model, str) and weights is None,
        loaded=loaded,
    )


def _config(module: nn.Module) -> HRNetConfig | None:
    """Our config of a module; modules of other code bases may have other things of that name."""
    config = getattr(module, "config", None)
    return config if isinstance(config, HRNetConfig) else None


def _detector(module: nn.Module) -> nn.Module:
    """A detector of ours, whose box head is not in its outputs. One from a file is made anew, for pictures of any size.

    Errors: ValueError for a module of another code base.
    """
    config = _config(module)
    if config is None:
        raise ValueError(
            f"{type(module).__name__} is of another code base, and detection needs the parts of hrnet_fast's own: name "
            "a model such as 'hrnet_w32.faster_rcnn_coco', and give its checkpoint as weights="
        )
    if not isinstance(module, SavedNetwork):
        return module
    with without_init():
        made = MODEL_CLASSES[config.head](config).to(next(module.parameters())).eval()
    made.load_state_dict(module.state_dict())
    return made


def _own_size(module: nn.Module) -> tuple[int, int] | None:
    if config := _config(module):
        return config.input_size
    shape = module.image_shape if isinstance(module, SavedNetwork) else None
    return shape and shape[1:]


def load_all(plain: nn.Module, weights: str | os.PathLike[str] | Mapping[str, Any]) -> LoadReport:
    """Loads all of a network: one whose head stays random would give results that mean nothing.

    Errors: CheckpointError, also for a checkpoint of another task.
    """
    report = load_weights(plain, weights)
    missing = [key for key in report.missing if not key.endswith("num_batches_tracked")]
    if missing and hasattr(plain, "bbox_head") and any("bbox_head." in key for key in report.dropped):
        raise CheckpointError(
            f"{report.source} is of another detector than {report.model}: Faster R-CNN as mmdetection 2 and 3 write it "
            "is read whole; an older one, as the official repository's, counts boxes and classes otherwise"
        )
    if missing:
        raise CheckpointError(
            f"{report.source} has no weights for {len(missing)} tensors of {report.model} "
            f"({missing[0]}, ...): it is a checkpoint of another task, so its results would mean nothing"
        )
    return report


def _check_head(task: str, config: HRNetConfig) -> None:
    if config.head not in HEADS[task]:
        fits = f"which belongs to {task_of(config.head)}" if _has_task(config.head) else "which no task reads"
        raise ValueError(
            f"{config.name} has the head {config.head!r}, {fits}; {task} takes models with the head "
            f"{' or '.join(map(repr, HEADS[task]))}"
        )


def _has_task(head: str) -> bool:
    return any(head in heads for heads in HEADS.values())


def _moves(module: nn.Module, device: torch.device | None) -> bool:
    return device is not None and any(t.device != device for t in module.parameters())


def _plan(module: OptimizedModule, size: Sequence[int]) -> Plan:
    return module.plan_for(torch.empty(1, 3, *size, device="meta"))


def _output_shapes(plan: Plan) -> list[tuple[int, ...]]:
    return [tuple(plan.values[output].shape) for output in plan.outputs]


def _check_outputs(task: str, name: str, plan: Plan) -> None:
    """What a module of another code base gives must be what the task reads: one map, of OCR two; logits; or maps at two
    sizes."""
    shapes, nest = _output_shapes(plan), plan.output_tree.type
    if len(shapes) > 1 and nest not in (list, tuple, namedtuple):
        raise ValueError(
            f"{name} gives its {len(shapes)} outputs in a {nest.__name__}, where none of them is the last: give a "
            "module that returns them in a list"
        )
    if task == "bottom_up":
        fits, wanted = _at_two_sizes(shapes), "(N, 2K, h, w) heatmaps and tags and (N, K, 2h, 2w) heatmaps"
    elif task == "detection":
        fits, wanted = True, ""  # `_detector` has seen to it
    elif task == "classification":
        fits, wanted = [len(shape) for shape in shapes] == [2], "(N, classes) logits"
    else:
        most = 2 if task == "segmentation" else 1
        fits = len(shapes) <= most and all(len(shape) == 4 for shape in shapes)
        wanted = "one (N, K, H, W) map"
    if not fits:
        raise ValueError(f"{name} gives outputs of the shapes {shapes}, but {task} reads {wanted}")


def _at_two_sizes(shapes: list[tuple[int, ...]]) -> bool:
    if [len(shape) for shape in shapes] != [4, 4]:
        return False
    (_, channels, height, width), fine = shapes
    return fine[1:] == (channels / 2, 2 * height, 2 * width)


def _pieces(images: int, pixels: int) -> list[int]:
    """How a batch is split: `images` of `pixels` each."""
    pieces = []
    for size in PIECES:
        if size == 1 or size * pixels <= MAX_PIXELS:
            pieces += [size] * (images // size)
            images %= size
    return pieces


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))
