"""Directions that captions state, read in the words of the templates."""

import pytest

from fmri_llm.evaluation.stated_directions import read_directions

NETWORKS = ["Visual", "Medial temporal", "Temporal"]
COLUMNS = [
    "fc.Visual-Visual", "fc.Visual-Temporal", "ica.fnc.Visual-Temporal", "ica.falff.Visual",
    "ica.amplitude.Temporal", "ica.amplitude.Medial temporal", "ica.overall_amplitude",
    "ica.overall_spectral_ratio", "gradient1.Visual", "gradient2.range", "gradient3.variance",
    "graph.network_strength.Visual", "graph.modularity", "graph.mean_clustering",
]  # fmt: skip


RANGE = "the typical range"
STATED = {
    f"Below {RANGE} lies connectivity within the Visual network (0.1), between the Temporal and "
    "Visual networks and for two more connections.": {
        "fc.Visual-Visual": -1, "fc.Visual-Temporal": -1,
    },
    "Between the Visual and Temporal networks (0.1, z 2.1), functional network connectivity is "
    f"well above {RANGE}.": {"ica.fnc.Visual-Temporal": 1},
    f"The amplitude of components takes values above {RANGE} in the Medial temporal (1.2, z 1.5) "
    "and Temporal (1.1, z 1.2) networks.": {
        "ica.amplitude.Medial temporal": 1, "ica.amplitude.Temporal": 1,
    },
    f"Overall component amplitude is 1, above {RANGE}.": {"ica.overall_amplitude": 1},
    f"The components as a whole have a spectral ratio of 5.7; this is below {RANGE}.": {
        "ica.overall_spectral_ratio": -1
    },
    f"The fractional amplitude (fALFF) is below {RANGE} in the Visual network.": {
        "ica.falff.Visual": -1
    },
    f"In the Visual network, the principal gradient of connectivity is above {RANGE}. From end to "
    f"end, the second gradient has a range of 0.2; this is below {RANGE}. Regions spread along "
    f"the third gradient with a variance of 0.1, which is well above {RANGE}.": {
        "gradient1.Visual": 1, "gradient2.range": -1, "gradient3.variance": 1,
    },
    f"The strength of networks over positive connections is above {RANGE} in the Visual network. "
    f"Modularity is 0.2, below {RANGE}. Regions cluster with 0.3, which is above {RANGE}.": {
        "graph.network_strength.Visual": 1, "graph.modularity": -1, "graph.mean_clustering": 1,
    },
    f"Modularity is 0.2, within {RANGE}.": {},
    f"Modularity is above {RANGE}, or below {RANGE}.": {},
    f"Of nine measures, two lie outside {RANGE}.": {},
    f"The entropy of the Visual network is above {RANGE}.": {},
}  # fmt: skip


@pytest.mark.parametrize("text", STATED)
def test_a_sentence_states_the_direction_of_the_measures_that_it_names(text):
    assert read_directions(text, COLUMNS, NETWORKS) == [*STATED[text].items()]
