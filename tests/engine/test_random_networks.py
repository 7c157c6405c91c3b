"""Networks drawn at random: each has torch's numbers by every executor, or is refused for what it writes into views."""

import pytest
import torch
from torch.utils import _pytree as pytree

from hrnet_fast import optimize
from hrnet_fast.engine.executors import native
from hrnet_fast.engine.verify import FLOAT64
from hrnet_fast.numerics import TOLERANCE_FACTOR, relative_l2
from hrnet_fast.plan import PlanError
from tests.engine.random_networks import RandomNetwork

COUNT, AT_ONCE = 120, 15
EXECUTORS = {"reference": torch.float64, "onednn": torch.float32}
EXECUTORS |= {} if native.unsupported() else {"native": torch.float32}
EXPECTED = (
    "shares memory with a tensor that was written in place", "cannot hold a result of", "whose elements share memory",
)  # fmt: skip


def tensors(results) -> list[torch.Tensor]:
    return [result for result in pytree.tree_leaves(results) if result is not None]


@torch.no_grad()
def played(program: RandomNetwork, executor: str, dtype: torch.dtype) -> tuple[float, float] | None:
    """Errors against float64 of a network and of torch's own, in a dtype; None where it is refused."""
    net, inputs = program.build(dtype), program.inputs(dtype)
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    try:
        fast = optimize(net, executor=executor, example=tuple(inputs))
    except PlanError as refused:
        assert any(sentence in str(refused) for sentence in EXPECTED), f"{refused}\n{program}"
        return None
    results = fast(*inputs)
    given, expected = tensors(results), net(*program.inputs(dtype))
    assert pytree.tree_structure(results) == pytree.tree_structure(expected), program
    assert all(map(torch.equal, inputs, program.inputs(dtype))), f"an input was written:\n{program}"
    kept = [y.clone() for y in given]
    for y in {id(y): y for y in given}.values():
        y.fill_(torch.nan)
    assert all(map(torch.equal, tensors(fast(*inputs)), kept)), f"a second call differs:\n{program}"
    assert all(torch.equal(tensor, state[name]) for name, tensor in net.state_dict().items()), program
    exact = tensors(program.build()(*program.inputs()))
    return relative_l2(kept, exact), relative_l2(tensors(expected), exact)


@pytest.mark.parametrize("first", range(0, COUNT, AT_ONCE))
def test_random_networks_have_torchs_numbers(first):
    """At most twice the worst of torch's own errors in these networks, as that in a single small one may be none."""
    programs = [RandomNetwork(seed) for seed in range(first, first + AT_ONCE)]
    for executor, dtype in EXECUTORS.items():
        errors = [(program, pair) for program in programs if (pair := played(program, executor, dtype))]
        assert len(errors) >= AT_ONCE - 3
        worst = max(own for _, (_, own) in errors)
        allowed = FLOAT64 if dtype == torch.float64 else TOLERANCE_FACTOR * worst
        for program, (given, own) in errors:
            assert given <= allowed, f"{executor}: error {given:.1e}, torch's own {own:.1e}\n{program}"
