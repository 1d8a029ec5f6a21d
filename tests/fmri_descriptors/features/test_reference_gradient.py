"""What a cohort's gradients are is told from a published one, or not at all."""

import numpy as np
import pytest
from brainspace.datasets import load_group_fc

from fmri_descriptors import Parcellation, load_parcellation
from fmri_descriptors.features.gradients.gradients import diffusion_map
from fmri_descriptors.features.gradients.reference import (
    gradient_note,
    reference_correlations,
    reference_gradient,
    reference_on,
)


@pytest.mark.parametrize("name", ["schaefer400-7n", "schaefer100-7n", "tian3-schaefer400-7n"])
def test_the_reference_goes_from_sensory_to_association_networks(name):
    """The order of Margulies et al. (2016): sensory ends, default mode at the other."""
    parcellation = load_parcellation(name)
    values, networks = reference_on(parcellation), np.asarray(parcellation.networks)
    means = {name: np.nanmean(values[networks == name]) for name in parcellation.network_names[-7:]}
    order = sorted(means, key=means.get)
    assert order[:2] == ["Visual", "Somatomotor"]
    assert order[-1] == "Default Mode"


def test_on_its_own_parcels_it_is_itself_and_the_rest_has_none():
    np.testing.assert_allclose(
        reference_on(load_parcellation("schaefer400-7n")), reference_gradient()
    )
    whole = reference_on(load_parcellation("tian3-schaefer400-7n"))
    np.testing.assert_allclose(whole[50:], reference_gradient())
    assert np.isnan(whole[:50]).all()


def test_another_sample_of_people_has_it_as_its_first_gradient():
    held_out = load_group_fc("schaefer", scale=400, group="holdout")
    template = diffusion_map(held_out, 10, 0.9)
    r = reference_correlations(template, load_parcellation("schaefer400-7n"))
    assert r[0] > 0.98
    assert max(r[1:]) < 0.3
    assert gradient_note(r).startswith("Gradient 1 of the template parts sensory from assoc")


def test_turned_around_or_in_another_place_it_is_found():
    template = diffusion_map(load_group_fc("schaefer", scale=400), 3, 0.9)
    turned = np.stack([template[:, 1], -template[:, 0], template[:, 2]], axis=1)
    r = reference_correlations(turned, load_parcellation("schaefer400-7n"))
    assert gradient_note(r).startswith("Gradient 2 of the template")


def test_a_template_without_that_axis_makes_no_claim():
    rng = np.random.default_rng(0)
    r = reference_correlations(rng.normal(size=(400, 3)), load_parcellation("schaefer400-7n"))
    assert max(r) < 0.2
    assert gradient_note(r).startswith("No gradient of the template is the published one")


def test_regions_without_places_make_no_claim():
    labels = [f"r{i}" for i in range(30)]
    plain = Parcellation("own", labels, ["net"] * 30, ["L"] * 30)
    r = reference_correlations(np.random.default_rng(0).normal(size=(30, 10)), plain)
    assert r == [None, None, None]
    assert "is not known" in gradient_note(r)
