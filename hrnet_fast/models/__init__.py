"""Every HRNet as a plain, trainable nn.Module with the official keys."""

from .backbone import HighResolutionNet
from .blocks import BasicBlock, Bottleneck
from .config import ARCHITECTURES, Architecture, HRNetConfig
from .module import BilinearHighResolutionModule, HighResolutionModule
from .registry import UnknownModelError, create_model, list_models, model_config
from .resize import SizeError

__all__ = [
    "ARCHITECTURES", "Architecture", "BasicBlock", "BilinearHighResolutionModule", "Bottleneck", "HRNetConfig",
    "HighResolutionModule", "HighResolutionNet", "SizeError", "UnknownModelError", "create_model", "list_models",
    "model_config",
]  # fmt: skip
