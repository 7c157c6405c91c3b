"""One op for a whole network: what torch.compile and torch.export see of an optimized module.

    hrnet_fast::run(Tensor[] inputs, str network, str structure) -> Tensor[]

inputs: the call's tensors in order. network: the token of a live `OptimizedModule`. structure: how the call nested its
tensors, as `nesting.describe` tells it.

It is one node without a graph break: nothing of the planner, the weights or the executor is traced. A call looks its
module up by token, so `refresh()` and `load_state_dict()` take effect in what was compiled before. Shapes come from a
plan made without data. The batch may be symbolic; height and width decide the plan, so a symbolic one is taken as the
number at hand, under a guard: another size compiles again.

An exported program carries the call, its shapes and the token, but neither packed weights nor kernels: it runs, also
after `torch.export.save` and `load`, where a module of this token lives: in the process that made it, or in one that
has loaded the network (`hrnet_fast.load`) from what was saved of it. Anywhere else it is refused in one sentence. The
op's own gradients are those of the plain module with respect to the inputs.
"""

from __future__ import annotations

import secrets
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from ..plan.warn import warn
from .hooks import Hooks
from .nesting import from_tuples, in_tuples, nested
from .prepared import Prepared
from .results import empty_result


class Module(Protocol):
    """What the op reads of an optimized module."""

    original: nn.Module
    _prepared: Prepared
    _hooks: Hooks


_networks: weakref.WeakValueDictionary[str, Module] = weakref.WeakValueDictionary()
_heirs: weakref.WeakValueDictionary[str, Module] = weakref.WeakValueDictionary()


def register(module: Module, saved: str | None = None) -> str:
    """A token for a module that no other module of any process has, so that a program never meets another network.

    saved: of the module that this one was saved from, whose place it takes in this process: at once where that one is
    not alive, else, with a token of its own, after it.
    """
    if saved is not None and saved in _networks:
        _heirs[saved] = module
        saved = None
    token = saved or f"{type(module.original).__name__}-{secrets.token_hex(8)}"
    _networks[token] = module
    return token


def call(network: str, structure: str, leaves: list[Tensor]) -> Any:
    """A module's results, by the op."""
    results = torch.ops.hrnet_fast.run(leaves, network, structure)
    return from_tuples(result_nesting(network, structure), results)


def wants_original(module: Module, leaves: Sequence[Tensor]) -> bool:
    """Whether somebody differentiates by an input, or transforms the call or watches what the layers do, so that the
    original runs; a warning says so once."""
    wanted = (torch.is_grad_enabled() and any(x.requires_grad for x in leaves)) or (
        not torch.compiler.is_compiling()
        and (forward_ad._current_level >= 0 or _is_transformed() or module._hooks.are_there() or _is_watched())
    )
    if wanted:
        _warn()
    return wanted


def _is_transformed() -> bool:
    """Whether the call is inside torch.func's grad, jvp, vmap or the like; functionalization changes no numbers."""
    around = torch._C._functorch.peek_interpreter_stack()
    return around is not None and around.key() != torch._C._functorch.TransformType.Functionalize


def _is_watched() -> bool:
    """Whether a mode that is no part of torch's own tracing sees every operation, e.g. one that counts them."""
    return any(not mode.is_infra_mode() for mode in _get_current_dispatch_mode_stack())


def result_nesting(network: str, structure: str) -> Any:
    """How a call's results nest, in tuples; known once its shapes are."""
    return in_tuples(_find(network).outlines.nesting(structure))


_warned = False


def _warn() -> None:
    global _warned
    if not _warned:
        _warned = True
        warn(
            "an input of an optimized HRNet requires a gradient, or torch.func transforms the call, or forward hooks "
            "or a dispatch mode watch its layers: the original module runs instead, in evaluation mode, at its own "
            "speed; call it without these, or under torch.no_grad(), to use the optimized one"
        )


# Called while tracing, not traced. As torch.compiler.assume_constant_result, which would import the compiler: a second.
for called in (result_nesting, _warn):
    vars(called)["_dynamo_marked_constant"] = True


def _find(token: str) -> Prepared:
    """What the module of a token has prepared of its weights as they are now."""
    if torch.onnx.is_in_onnx_export():
        raise RuntimeError("ONNX has no operator for an optimized network: export its `original` instead")
    module = _networks.get(token)
    module = _heirs.get(token) if module is None else module
    if module is None:
        raise RuntimeError(
            f"this program calls the optimized network {token}, which is not in this process: keep the module that "
            "optimize() returned alive as long as the program, or load() here what save() wrote of it"
        )
    return module._prepared


def _run(inputs: list[Tensor], network: str, structure: str) -> list[Tensor]:
    prepared = _find(network)
    prepared.check_inputs(inputs)
    results, output_tree = prepared.play(nested(structure, inputs), inputs, structure)
    prepared.outlines.note(structure, output_tree)
    return results


def _run_fake(inputs: list[Tensor], network: str, structure: str) -> list[Tensor]:
    prepared = _find(network)
    prepared.check_inputs(inputs)
    results = prepared.outlines.results(structure, inputs)
    return [empty_result(result.shape, inputs[0], result.dtype) for result in results]


def _run_backward(gradients: list[Tensor | None], inputs: list[Tensor], network: str, structure: str) -> list[Tensor]:
    """The plain module runs again, in evaluation mode as the plan does, and hands the gradients down.

    By torch.func, as torch.autograd records nothing inside an op.
    """
    prepared = _find(network)

    def plain(*leaves: Tensor) -> list[Tensor]:
        results = pytree.tree_leaves(prepared.plain(nested(structure, leaves)))
        floating = inputs[0].dtype  # for labels and masks, which have no gradients, but places among the results
        return [y if y.is_floating_point() else y.to(floating) for y in results if y is not None]

    results, pull, *_ = torch.func.vjp(plain, *inputs)
    given = [torch.zeros_like(y) if g is None else g.to(y.dtype) for y, g in zip(results, gradients)]
    return [g.clone(memory_format=torch.preserve_format) for g in pull(given)]


def _run_backward_fake(
    gradients: list[Tensor | None], inputs: list[Tensor], network: str, structure: str
) -> list[Tensor]:
    return [torch.empty_like(x) for x in inputs]


def _keep_for_backward(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    tensors, *ctx.call = inputs
    ctx.save_for_backward(*tensors)


def _backward(ctx: Any, gradients: list[Tensor | None]) -> tuple[list[Tensor], None, None]:
    return torch.ops.hrnet_fast.run_backward(gradients, list(ctx.saved_tensors), *ctx.call), None, None


# A CUDA graph of the caller's cannot hold the executors' own graphs: inductor then leaves this op out of its one.
TAGS = (torch.Tag.pt2_compliant_tag, torch.Tag.needs_exact_strides, torch.Tag.cudagraph_unsafe)
# Not torch.library.custom_op, whose wrapper takes longer than a small network's host side.
library = torch.library.Library("hrnet_fast", "FRAGMENT")


def _define(schema: str, implementation: Callable[..., Any], fake: Callable[..., Any]) -> None:
    name = schema.partition("(")[0]
    library.define(schema, tags=TAGS)
    for device in ("CPU", "CUDA"):
        library.impl(name, implementation, device)
    torch.library.register_fake(f"hrnet_fast::{name}", fake, lib=library)


_define("run(Tensor[] inputs, str network, str structure) -> Tensor[]", _run, _run_fake)
_define(
    "run_backward(Tensor?[] gradients, Tensor[] inputs, str network, str structure) -> Tensor[]",
    _run_backward,
    _run_backward_fake,
)
torch.library.register_autograd("hrnet_fast::run", _backward, setup_context=_keep_for_backward, lib=library)
