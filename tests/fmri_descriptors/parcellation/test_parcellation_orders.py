"""Permutations between the region orders of one atlas."""

from itertools import pairwise

import numpy as np
import pytest

from fmri_descriptors import InputError, load_parcellation
from fmri_descriptors.parcellation.orders import ORDERS, order_labels, permutation

PAIRS = [
    (f"{stem}-7n", f"{stem}-17n") for stem in ("schaefer100", "schaefer400", "tian3-schaefer400")
]


def area(label):
    """Name of a parcel's area, such as ``PHC``, where it has one."""
    return label.split("_")[3] if label.count("_") == 4 else None


@pytest.mark.parametrize(("seven", "seventeen"), PAIRS)
def test_there_and_back_is_the_identity(seven, seventeen):
    there, back = permutation(seven, seventeen), permutation(seventeen, seven)
    np.testing.assert_array_equal(there[back], np.arange(len(there)))


@pytest.mark.parametrize("order", ORDERS)
def test_an_order_into_itself_is_the_identity(order):
    index = permutation(order, order)
    np.testing.assert_array_equal(index, np.arange(len(index)))


@pytest.mark.parametrize(("seven", "seventeen"), PAIRS)
def test_no_region_changes_its_hemisphere(seven, seventeen):
    sides = np.asarray(load_parcellation(seven).hemispheres)[permutation(seven, seventeen)]
    told = [
        label[-2] if label[-1] == "h" else label.split("_")[1][0]
        for label in order_labels(seventeen)
    ]
    assert [side.upper() for side in told] == sides.tolist()


def test_columns_named_in_one_order_arrive_under_the_same_areas_in_the_other():
    before = np.asarray(load_parcellation("schaefer400-7n").labels)
    arrived = before[permutation("schaefer400-7n", "schaefer400-17n")]
    pairs = zip(arrived, order_labels("schaefer400-17n"), strict=True)
    named = [(area(a), area(b)) for a, b in pairs if area(a) and area(b)]
    assert len(named) > 150
    # Many areas are named alike in both; of shuffled pairs one in fifty is.
    assert np.mean([a == b for a, b in named]) > 0.2


def test_the_subcortical_regions_stay_first_and_the_rest_moves_as_in_the_cortex():
    whole = permutation("tian3-schaefer400-17n", "tian3-schaefer400-7n")
    cortex = permutation("schaefer400-17n", "schaefer400-7n")
    np.testing.assert_array_equal(whole, np.concatenate([np.arange(50), cortex + 50]))


def test_the_two_orders_of_450_share_54_places():
    index = permutation("tian3-schaefer400-7n", "tian3-schaefer400-17n")
    assert (index == np.arange(450)).sum() == 54  # as counted in public files of both orders


def test_the_labels_of_the_seven_network_order_are_those_of_its_parcellation():
    assert order_labels("schaefer400-7n") == load_parcellation("schaefer400-7n").labels


def test_the_seventeen_network_order_counts_through_its_networks():
    networks = [label.split("_")[2] for label in order_labels("schaefer400-17n")[:200]]
    runs = 1 + sum(a != b for a, b in pairwise(networks))
    assert runs == len(set(networks)) == 17


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (("schaefer400-7n", "schaefer100-17n"), "have different regions"),
        (("aal2", "schaefer400-7n"), "'aal2' is not known; give one of schaefer100-7n"),
        (("schaefer400-7n", "kong17n"), "'kong17n' is not known"),
    ],
)
def test_a_pair_without_a_permutation_is_refused_in_one_line(pair, message):
    with pytest.raises(InputError, match=message) as caught:
        permutation(*pair)
    assert "\n" not in str(caught.value)
