"""Region centres survive being stored, and files without them still read."""

import json

import pytest

from fmri_descriptors.errors import InputError
from fmri_descriptors.parcellation.parcellation import Parcellation

PAIR = Parcellation("pair", ("a", "b"), ("N", "N"), ("L", "R"), ((-1.5, 2.0, 3.0), (1.5, 2.0, 3.0)))


def test_centroids_survive_a_json_file():
    document = json.loads(json.dumps(PAIR.to_dict()))
    assert Parcellation.from_dict(document, "file").centroids == PAIR.centroids


def test_a_file_without_centroids_still_reads():
    document = PAIR.to_dict()
    del document["centroids"]
    assert Parcellation.from_dict(document, "file").centroids is None


@pytest.mark.parametrize("bad", [[[1, 2], [3, 4]], "here", [[1, 2, None], [1, 2, 3]], [[1, 2, 3]]])
def test_malformed_centroids_give_one_line(bad):
    with pytest.raises(InputError, match="centroids") as caught:
        Parcellation.from_dict({**PAIR.to_dict(), "centroids": bad}, "file")
    assert "\n" not in str(caught.value)
