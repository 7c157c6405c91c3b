"""Lowering: a live module, written by anyone, to a graph.

The module's own forward runs once on tensors without data, under a mode that sees every torch function. So control
flow, lists of maps and helper functions of any origin resolve by themselves, and only the tensor operations remain.
"""

from __future__ import annotations

import pickle
import random
import sys
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ..errors import PlanError
from ..graph import Graph, names_in
from ..warn import warn
from .constants import Made
from .failure import copied_from_torch, what, where, without_handing_over
from .held import held_tensors
from .modules import plain_values, sample_of, traceable_twin, unwrap
from .recorder import Recorder

_DRAWS = 10  # after which a branch by the toss of a coin was taken both ways, but once in a thousand times


def trace(module: nn.Module, *inputs: Any) -> Graph:
    """Lower `module`, called on `inputs`, in evaluation mode.

    inputs: tensors or None, or lists and tuples of them; only shapes are read. The module is not run on data, and is
    changed in no more than `traceable_twin` says. A module that asks how a map lies in memory is told: contiguous.
    Raises PlanError, in one sentence, where the module does something that a plan cannot express; warns where it counts
    its calls and computes something else at the next one.
    """
    module = unwrap(module)
    twin = traceable_twin(module)
    before, dice = plain_values(twin), _dice()
    made: dict[int, Made] = {}
    graph = _graph(module, twin, inputs, made)
    changed = sorted({name for name, _ in before.items() ^ plain_values(twin).items()})
    more = _DRAWS if _dice() != dice else 1 if changed else 0  # draws may be another thread's
    if any(_next(module, twin, inputs, made) != graph for _ in range(more)):
        if not changed:
            raise PlanError("the network draws random numbers, and a plan would repeat those of one draw")
        warn(
            f"the network changes its own {', '.join(changed)} when it is called and computes something else the next "
            "time, but an optimized or saved one always does what it does now"
        )
    return graph


def _next(module: nn.Module, twin: nn.Module, inputs: tuple[Any, ...], made: dict[int, Made]) -> Graph | None:
    """What the network computes when it is called again; None if that cannot be planned."""
    try:
        return _graph(module, twin, inputs, made)
    except ValueError:
        return None


def _dice() -> tuple[Any, bytes]:
    """Where Python's and NumPy's random numbers are."""
    numpy = sys.modules.get("numpy.random")
    return random.getstate(), pickle.dumps(numpy and numpy.get_state(legacy=False))


def _graph(module: nn.Module, twin: nn.Module, inputs: tuple[Any, ...], made: dict[int, Made]) -> Graph:
    """made: the constants of earlier calls, which a network may keep, and of this one."""
    leaves, input_tree = pytree.tree_flatten(_without_none(inputs))
    for leaf in leaves:
        if not isinstance(leaf, Tensor):
            raise PlanError(f"inputs must be tensors or lists of them, not {type(leaf).__name__}")
    recorder = Recorder(module, sample_of(module).dtype, made)
    held = held_tensors(twin)
    with torch.inference_mode(False), torch.no_grad():  # tensors of inference mode do not count what writes to them
        data_free = [recorder.add_input(tuple(leaf.shape)) for leaf in leaves]
        try:
            with recorder:
                result = twin(*pytree.tree_unflatten(data_free, input_tree))
            recorder.check_writes()
            used = set(names_in(tuple(recorder.nodes))) if held else ()
            if name := next((name for name in used if name in held and held[name].replaced()), None):
                raise PlanError(f"the network replaces its own {name!r} when it is called, which a plan cannot express")
        except PlanError as error:
            raise PlanError(f"{what(error)} (in {where(twin, error)})") from error
        except ValueError:  # the network's own sentence
            raise
        except Exception as error:
            if (names := copied_from_torch(error)) is not None:
                with without_handing_over(names):
                    return _graph(module, twin, inputs, made)
            raise PlanError(f"{where(twin, error)} cannot be planned: {what(error)}") from error
    outputs, output_tree = pytree.tree_flatten(_without_none(result))
    return Graph(
        tuple(recorder.nodes),
        tuple(range(len(leaves))),
        tuple(_result(recorder, out) for out in outputs),
        output_tree,
        tuple(sorted(recorder.read)),
    )


def _result(recorder: Recorder, out: Any) -> int:
    """The value that a result is. PlanError for what is the same for every input, and so is no value of a plan."""
    if not isinstance(out, Tensor):
        told = f"the {type(out).__name__} {out!r:.40}"
    elif id(out) in recorder.names:
        told = f"the parameter or buffer {recorder.names[id(out)]!r}"
    elif out in recorder.constants:
        told = "made of numbers and parameters alone"
    else:
        return recorder.value_of(out, "a result")
    raise PlanError(
        f"a result is {told}, no tensor computed from the input: optimize the module that gives the others, and return "
        "this beside them"
    )


class _Nothing:
    """Stands for None among inputs and results: nothing to the plan, and None again where they are nested."""


pytree.register_pytree_node(_Nothing, lambda _: ([], None), lambda leaves, context: None)


def _without_none(nested: Any) -> Any:
    return pytree.tree_map(lambda x: _Nothing() if x is None else x, nested)
