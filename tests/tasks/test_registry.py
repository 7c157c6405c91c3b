"""Heads, tasks and their packages."""

import pytest

from hrnet_fast import list_models, model_config
from hrnet_fast.models.config import HEADS as MODEL_HEADS
from hrnet_fast.tasks.registry import HEADS, package_of, task_of

WITHOUT_A_TASK = {"detection", "features"}


def test_every_head_has_one_task_or_none():
    heads = [head for heads in HEADS.values() for head in heads]
    assert len(heads) == len(set(heads)) and set(heads) | WITHOUT_A_TASK == set(MODEL_HEADS)


@pytest.mark.parametrize("task", HEADS)
def test_every_package_offers_what_the_commands_use(task):
    package = package_of(task)
    for name in ("Estimator", "draw", "to_json", "evaluate"):
        assert callable(getattr(package, name))
    assert package.DATASETS and all(map(callable, package.DATASETS.values()))


def test_every_data_set_says_what_to_download(tmp_path):
    for task in HEADS:
        for opener in package_of(task).DATASETS.values():
            with pytest.raises(FileNotFoundError, match="download|unpack") as raised:
                opener(tmp_path / "none")
            assert "\n" not in str(raised.value)


def test_a_models_task_is_known_by_its_head():
    for name in list_models():
        head = model_config(name).head
        if head in WITHOUT_A_TASK:
            with pytest.raises(ValueError, match=f"no task reads the head '{head}'"):
                task_of(head)
        else:
            assert head in HEADS[task_of(head)]


def test_an_unknown_task_is_refused():
    with pytest.raises(ValueError, match="task 'tracking' is not known; choose one of pose, segmentation"):
        package_of("tracking")
