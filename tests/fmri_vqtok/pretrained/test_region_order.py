import json

import numpy as np
import pytest
import torch

from fmri_vqtok.errors import InputError
from fmri_vqtok.tokenizer import FMRITokenizer

OWN = ["a", "b", "c", "d", "e"]
OTHER = ["c", "e", "a", "d", "b"]


@pytest.fixture
def folder(make_tokenizer, tmp_path):
    tokenizer = make_tokenizer(labels=OWN)
    tokenizer.order_hash, tokenizer.parcellation = "abc", "five"
    tokenizer.save_pretrained(tmp_path)
    return tmp_path


def test_the_permutation_brings_columns_into_the_tokenizers_order(folder):
    tokenizer = FMRITokenizer.from_pretrained(folder, order_hash="abc", labels=OWN)
    index = tokenizer.permutation_from(OTHER)
    assert np.array(OTHER)[index].tolist() == OWN
    x = torch.randn(2, 24, 5)
    shuffled = x[..., [OWN.index(label) for label in OTHER]]
    assert torch.equal(shuffled[..., index], x)


@pytest.mark.parametrize("order_hash", ["xyz", None])
def test_another_order_is_refused_with_the_permutation_that_fixes_it(folder, order_hash):
    expected = (
        r"trained on region order abc of parcellation 'five'.*the same regions in another order; "
        r"take `signal\[\.\.\., permutation\]` with permutation = \[2, 4, 0, 3, 1\], which "
        r"`permutation_from\(labels\)` of the tokenizer returns"
    )
    with pytest.raises(InputError, match=expected):
        FMRITokenizer.from_pretrained(folder, order_hash=order_hash, labels=OTHER)


def test_a_long_permutation_is_shortened_in_the_message(make_tokenizer, tmp_path):
    labels = [f"region {n}" for n in range(40)]
    make_tokenizer(n_regions=40, labels=labels).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"= \[39, 38, .* 28, \.\.\. \(40 in all\)\]"):
        FMRITokenizer.from_pretrained(tmp_path, labels=labels[::-1])


def test_other_regions_are_refused_without_a_permutation(folder):
    with pytest.raises(InputError, match=r"put the regions into the tokenizer's order, or fit"):
        FMRITokenizer.from_pretrained(folder, labels=["a", "b", "c", "d", "f"])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a", "b", "c", "d", "f"], r"labels: 5 regions, .* \(missing: 'e'; unknown to it: 'f'\)"),
        ([*OWN, "f", "g"], r"labels: 7 regions.*missing: none; unknown to it: 'f' and 1 more"),
        (["a", "a", "c", "d", "e"], "labels: 'a' is a duplicate"),
    ],
)
def test_labels_that_are_no_permutation_are_refused(folder, labels, message):
    with pytest.raises(InputError, match=message):
        FMRITokenizer.from_pretrained(folder).permutation_from(labels)


def test_a_tokenizer_saved_without_labels_loads_and_refuses_permutations(folder):
    description = json.loads((folder / "config.json").read_text())
    assert description.pop("labels") == OWN
    (folder / "config.json").write_text(json.dumps(description))
    tokenizer = FMRITokenizer.from_pretrained(folder, order_hash="abc", labels=OTHER)
    with pytest.raises(InputError, match="saved without region labels"):
        tokenizer.permutation_from(OWN)
    with pytest.raises(InputError, match="signals have order xyz; put the regions into"):
        FMRITokenizer.from_pretrained(folder, order_hash="xyz", labels=OTHER)


def test_labels_of_another_number_are_refused(make_tokenizer):
    with pytest.raises(InputError, match="labels: 2; give one for each of 5 regions"):
        make_tokenizer(labels=["a", "b"])
