"""Measures in words, also where the names of networks hold the sign between two of them."""

import pytest

from fmri_llm.data.feature_names import domain, networks_of, phrase

HYPHENS = ["Default", "Default-A", "A", "A-B", "B"]


def test_networks_are_named_by_the_columns_of_connection_strength():
    columns = [
        "fc.A-B",
        *(f"graph.network_strength.{name}" for name in HYPHENS),
        "graph.modularity",
    ]
    assert networks_of(columns) == HYPHENS


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("fc.Default-A-A-B", "the connectivity between the Default-A and A-B networks"),
        ("fc.Default-A-Default", "the connectivity between the Default-A and Default networks"),
        ("fc.Default-A-Default-A", "the connectivity within the Default-A network"),
        ("ica.fnc.A-B-Default-A", "the coupling of the A-B and Default-A components"),
        ("gradient1.Default-A", "the principal gradient value of the Default-A network"),
        ("ica.spectral_ratio.A-B", "the spectral ratio of the A-B network"),
        ("gradient2.range", "the range of the second gradient"),
        ("graph.global_efficiency", "the global efficiency of the connectome"),
    ],
)
def test_a_measure_in_words(column, expected):
    assert phrase(column, HYPHENS) == expected


@pytest.mark.parametrize("column", ["fc.A-C", "gradient1.C", "graph.hubs", "age", "ica.fnc.A"])
def test_a_column_of_an_unknown_name_has_no_words(column):
    assert phrase(column, HYPHENS) is None


def test_domains_are_those_of_captions():
    columns = ["fc.A-B", "gradient3.range", "ica.fnc.A-B", "graph.modularity"]
    assert [domain(column) for column in columns] == ["FC", "gradients", "ICA", "graph"]
