"""Our modules are the official ones: same keys, shapes, order and numbers."""

import pytest
import torch

from hrnet_fast import create_model
from hrnet_fast.engine.verify import FLOAT64
from tests.golden import MODELS, fill, golden, golden_error, golden_input


@pytest.mark.parametrize("name", MODELS)
def test_keys_shapes_and_numbers_are_the_official_ones(name):
    data = golden(name)
    model = create_model(MODELS[name])
    assert [(key, list(tensor.shape)) for key, tensor in model.state_dict().items()] == list(data["state_dict"].items())
    assert sum(p.numel() for p in model.parameters()) == data["n_params"]

    model = fill(model.double()).eval()
    with torch.inference_mode():
        outputs = model(golden_input(data))
    outputs = outputs if isinstance(outputs, list) else [outputs]
    assert len(outputs) == len(data["outputs"])
    for index, output in enumerate(outputs):
        assert list(output.shape) == data["outputs"][index]["shape"]
        assert golden_error(data, index, output) <= FLOAT64
