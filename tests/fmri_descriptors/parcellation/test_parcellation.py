import dataclasses
import pickle

import pytest

from fmri_descriptors import InputError, Parcellation, load_parcellation


def test_aal2_has_94_regions_in_nine_systems(aal2):
    assert (aal2.n_regions, len(aal2.network_names)) == (94, 9)


def test_every_region_is_in_exactly_one_network(aal2):
    assert (aal2.membership.sum(axis=0) == 1).all()


def test_left_and_right_twins_share_their_network(aal2):
    networks = dict(zip(aal2.labels, aal2.networks, strict=True))
    assert all(networks[name] == networks[name[:-1] + "R"] for name in networks if name[-1] == "L")


@pytest.mark.parametrize(
    ("label", "network"),
    [
        ("Fusiform_L", "Visual"),
        ("Precentral_R", "Sensorimotor"),
        ("Frontal_Med_Orb_L", "Orbitofrontal"),
        ("Frontal_Sup_Medial_L", "Prefrontal"),
        ("Cingulate_Post_R", "Cingulo-insular"),
        ("Amygdala_L", "Medial temporal"),
        ("Precuneus_R", "Parietal"),
        ("Temporal_Pole_Sup_L", "Temporal"),
        ("Thalamus_R", "Subcortical"),
    ],
)
def test_a_region_is_in_the_system_its_name_says(aal2, label, network):
    assert aal2.networks[aal2.labels.index(label)] == network


def test_the_order_hash_follows_the_order_and_not_the_networks(aal2):
    turned = Parcellation("x", aal2.labels[::-1], aal2.networks[::-1], aal2.hemispheres[::-1])
    renamed = Parcellation("x", aal2.labels, ["one"] * 94, aal2.hemispheres)
    assert turned.order_hash != aal2.order_hash == renamed.order_hash


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(InputError, match=r"'aal3' is not known; give one of aal2, schaefer100-7n"):
        load_parcellation("aal3")


def test_lists_of_different_length_are_refused():
    with pytest.raises(InputError, match="2 labels, 1 networks and 2 hemispheres"):
        Parcellation("x", ["a", "b"], ["n"], ["L", "R"])


def test_a_repeated_label_is_refused():
    with pytest.raises(InputError, match="label 'a' occurs twice"):
        Parcellation("x", ["a", "a"], ["n", "n"], ["L", "R"])


def test_a_parcellation_survives_the_way_to_another_process(aal2):
    assert aal2.membership.any()  # kept for later, and so part of what is pickled
    assert pickle.loads(pickle.dumps(aal2)) == aal2


def test_a_parcellation_cannot_be_changed(aal2):
    with pytest.raises(dataclasses.FrozenInstanceError):
        aal2.labels = ("a",)
