"""The order of the evaluation suite, held against the parcellations that ship elsewhere."""

import numpy as np
import pytest

from fmri_descriptors import load_parcellation
from fmri_descriptors.parcellation.orders import order_labels, permutation
from fmri_vqtok import FMRITokenizer, FMRITokenizerConfig, InputError
from fmri_vqtok.evaluation.region_order import (
    known_orders,
    order_hash,
    region_labels,
    suite_columns,
    suite_space,
)

ORDERS = {450: "tian3-schaefer400", 400: "schaefer400"}


def a_tokenizer(n_regions=450, **carried):
    config = FMRITokenizerConfig.preset(
        "tiny", n_regions=n_regions, n_frames=64, width=8, n_codes=8, code_width=2
    )
    return FMRITokenizer(config, **carried)


@pytest.mark.parametrize("n_regions", ORDERS)
@pytest.mark.parametrize("networks", ["7n", "17n"])
def test_columns_of_the_suite_come_into_the_order_of_the_labels(n_regions, networks):
    stem = ORDERS[n_regions]
    columns = suite_columns(order_labels(f"{stem}-{networks}"))
    np.testing.assert_array_equal(columns, permutation(f"{stem}-17n", f"{stem}-{networks}"))


def test_a_shuffled_order_is_followed_by_name():
    suite = np.array(order_labels("tian3-schaefer400-17n"))
    shuffled = np.random.default_rng(0).permutation(suite)
    np.testing.assert_array_equal(suite[suite_columns(list(shuffled))], shuffled)


def test_only_54_of_450_regions_have_the_same_index_in_both_orders():
    columns = suite_columns(known_orders(450)[0])
    assert (columns == np.arange(450)).sum() == 54


@pytest.mark.parametrize("name", ["tian3-schaefer400-7n", "schaefer400-7n"])
def test_a_tokenizer_without_labels_is_known_by_the_hash_of_its_order(name):
    parcellation = load_parcellation(name)
    tokenizer = a_tokenizer(parcellation.n_regions, order_hash=parcellation.order_hash)
    assert region_labels(tokenizer) == parcellation.labels
    assert order_hash(parcellation.labels) == parcellation.order_hash


def test_the_tokenizers_own_labels_count_before_its_hash():
    shuffled = tuple(np.random.default_rng(0).permutation(order_labels("schaefer400-7n")))
    seven = load_parcellation("schaefer400-7n")
    tokenizer = a_tokenizer(400, order_hash=seven.order_hash, labels=shuffled)
    assert region_labels(tokenizer) == shuffled


def test_the_space_of_the_suite_follows_from_the_number_of_regions():
    assert suite_space(a_tokenizer(450)) == "schaefer400_tians3"
    assert suite_space(a_tokenizer(400)) == "schaefer400"


def test_regions_or_an_order_that_the_suite_does_not_know_are_refused():
    with pytest.raises(InputError, match=r"^tokenizer: 94 regions, but brainmarks has 400"):
        suite_space(a_tokenizer(94))
    with pytest.raises(InputError, match=r"^tokenizer: region order strange of parcellation 'x'"):
        region_labels(a_tokenizer(450, parcellation="x", order_hash="strange"))
    labels = list(order_labels("tian3-schaefer400-7n"))
    with pytest.raises(InputError, match=r"^labels: 'Precentral_L' among 450 regions"):
        suite_columns([*labels[:-1], "Precentral_L"])
    with pytest.raises(InputError, match=r"^labels: a region is a duplicate"):
        suite_columns([*labels[:-1], labels[0]])
    with pytest.raises(InputError, match=r"^labels: 'HIP-head-m-rh' among 1 regions"):
        suite_columns(labels[:1])
