"""The labels of streets, places and people's parts."""

import numpy as np
import pytest

from hrnet_fast.synthetic import PLACES, parsing_scene, place_scene, street_scene
from hrnet_fast.synthetic.outfits import LIP as PARTS
from hrnet_fast.synthetic.streets import LABEL_IDS
from hrnet_fast.tasks.segmentation import LIP, PASCAL_CONTEXT60
from hrnet_fast.tasks.segmentation.cityscapes_labels import TRAINED

SIZE = (129, 257)
WITH_INSTANCES = range(24, 34)


@pytest.fixture(scope="module")
def streets():
    return [street_scene(seed, SIZE) for seed in range(14)]


def test_streets_show_every_class_that_is_trained(streets):
    shown = set(np.unique(np.stack([truth.label_ids for _, truth in streets])))
    assert {label.id for label in TRAINED} <= shown <= set(LABEL_IDS.values())


def test_our_ids_are_the_readers():
    for label in TRAINED:
        assert LABEL_IDS[label.name] == label.id
    assert tuple(PARTS) == LIP.names


def test_most_of_a_street_is_what_one_expects(streets):
    """The sky is above, the road below, and neither is the other's colour."""
    for picture, truth in streets:
        rows = np.arange(SIZE[0])[:, None] * np.ones(SIZE[1])
        road, sky = truth.label_ids == LABEL_IDS["road"], truth.label_ids == LABEL_IDS["sky"]
        assert 0.15 < road.mean() < 0.6
        assert 0.03 < sky.mean() < 0.5
        assert rows[sky].max() < rows[road].mean()
        assert picture[sky].mean() > picture[road].mean() + 30


def test_instances_have_their_classes_ids(streets):
    for _, truth in streets:
        for value in np.unique(truth.instance_ids):
            labels = np.unique(truth.label_ids[truth.instance_ids == value])
            assert len(labels) == 1
            label = int(labels[0])
            if value >= 1000:
                assert label in WITH_INSTANCES
                assert value // 1000 == label
            else:
                assert value == label
        for label in WITH_INSTANCES:
            numbers = np.unique(truth.instance_ids[truth.instance_ids // 1000 == label])
            assert numbers.tolist() == [label * 1000 + k for k in range(len(numbers))]


def test_groups_of_people_are_labelled_without_instances(streets):
    del streets
    person = LABEL_IDS["person"]
    alone = grouped = 0
    for seed in range(30):
        _, truth = street_scene(seed, (96, 192))
        alone += (truth.instance_ids // 1000 == person).any()
        grouped += (truth.instance_ids == person).any()
    assert alone > 20
    assert grouped > 0


def test_places_show_all_59_classes_and_background():
    shown = set()
    for seed in range(60):
        picture, labels = place_scene(seed, (97, 145))
        assert (picture.shape, labels.shape, labels.dtype) == ((97, 145, 3), (97, 145), np.uint8)
        shown |= set(np.unique(labels).tolist())
    assert [PASCAL_CONTEXT60.names[label] for label in range(60) if label not in shown] == []
    assert max(shown) == 59


@pytest.mark.parametrize("place", sorted(PLACES))
def test_a_place_can_be_chosen(place):
    _, labels = place_scene(1, (96, 144), place=place)
    ground = {"street": "road", "outdoors": "sky", "room": "wall"}[place]
    assert (labels == PASCAL_CONTEXT60.names.index(ground)).mean() > 0.04


def test_an_unknown_place_is_one_sentence():
    with pytest.raises(ValueError, match="there is no place 'moon'; choose one of street, outdoors, room"):
        place_scene(0, place="moon")


def test_people_show_all_20_parts():
    shown = set()
    for seed in range(60):
        _, labels = parsing_scene(seed, (160, 100))
        shown |= set(np.unique(labels).tolist())
    assert shown == set(range(20))


def test_parts_stand_in_their_order():
    """Heads above legs, shoes lowest, over many people; and the background is most of the border."""
    for seed in range(12):
        picture, labels = parsing_scene(seed, (200, 140))
        rows = np.nonzero(labels)[0]
        head = np.nonzero(np.isin(labels, [PARTS["face"], PARTS["hair"], PARTS["hat"]]))[0]
        shoes = np.nonzero(np.isin(labels, [PARTS["left-shoe"], PARTS["right-shoe"]]))[0]
        assert head.mean() < np.median(rows) < shoes.mean()
        assert (labels[:, [0, -1]] == 0).mean() > 0.8
        assert picture.shape == (200, 140, 3)
