"""An HRNet compiled once into a small printable plan: data that every executor plays."""

from .build import make_plan
from .check import check
from .errors import PlanError
from .graph import Call, Constant, Convolution, Norm, Param, Ref, Resize, names_in
from .ir import PREVIOUS, Concat, Conv, Function, Item, Level, Plan, Sum, Term, Value
from .tracing import trace
from .tracing.constants import tensor_of
from .tracing.functions import PURE_FUNCTIONS
from .tracing.held import held_tensors
from .tracing.modules import inference_view, named_tensors, sample_of, unwrap

__all__ = [
    "PREVIOUS", "PURE_FUNCTIONS", "Call", "Concat", "Constant", "Conv", "Convolution", "Function", "Item", "Level",
    "Norm", "Param", "Plan", "PlanError", "Ref", "Resize", "Sum", "Term", "Value", "check", "held_tensors",
    "inference_view", "make_plan", "named_tensors", "names_in", "sample_of", "tensor_of",
    "trace", "unwrap",
]  # fmt: skip
