import re

import pytest
import yaml

from fmri_vqtok.config.stages import FitTokenizerSettings, LoopSettings
from fmri_vqtok.pretrained.model_card import RunFacts, model_card
from fmri_vqtok.tokenizer import FMRITokenizer
from fmri_vqtok.training.fit import fit_tokenizer

SETTINGS = FitTokenizerSettings(
    n_frames=48, patch_frames=16, n_codes=32, training=LoopSettings(steps=1, batch_size=2)
)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, cohort_dir):
    directory = tmp_path_factory.mktemp("tokenizer")
    fit_tokenizer(cohort_dir, directory, SETTINGS, seed=3)
    return directory


def table(card, title):
    """Cells of the table of a section, by the first one of each row."""
    [section] = re.findall(rf"## {title}\n\n(.*?)\n\n(?:##|`)", card + "\n\n##", flags=re.DOTALL)
    rows = [line.strip("| ").split(" | ") for line in section.splitlines()[2:]]
    return {row[0]: row[1:] for row in rows}


def test_the_front_matter_is_yaml_and_leaves_the_licence_to_the_owner(fitted):
    front, _, _ = (fitted / "README.md").read_text().removeprefix("---\n").partition("---\n")
    content = yaml.safe_load(front)
    assert content["library_name"] == "fmri-vqtok"
    assert all(isinstance(tag, str) for tag in content["tags"])
    assert "license" not in content


def test_the_card_lists_settings_scans_and_quality_of_the_run(fitted):
    import json

    card = (fitted / "README.md").read_text()
    training, quality = table(card, "Training"), table(card, "Quality")
    assert training["scans"] == ["4 train, 1 validation, 2 test"]
    assert (training["seed"], training["training.batch_size"]) == (["3"], ["2"])
    assert "vq.decay" in training
    assert "residual.decay" not in training
    written = json.loads((fitted / "quality.json").read_text())
    names = sorted(written["test"])
    assert float(quality["test"][names.index("normalised_mse")]) == pytest.approx(
        written["test"]["normalised_mse"], rel=1e-3
    )
    assert "parcellation: six, 6 regions" in card
    assert "hash of the ordered region labels: six-hash" in card
    processor = FMRITokenizer.from_pretrained(fitted).processor
    for site, scale in processor.site_scale_.items():
        assert f"site {site}: {scale:.4f}" in card


def test_the_card_counts_the_parameters(make_tokenizer):
    tokenizer = make_tokenizer()
    n = sum(parameter.numel() for parameter in tokenizer.parameters())
    assert table(model_card(tokenizer), "Sizes")["parameters"] == [f"{n:,}"]


def test_the_example_of_the_card_runs(fitted):
    import numpy as np

    card = (fitted / "README.md").read_text()
    [example] = re.findall(r"```python\n(.*?)```", card, flags=re.DOTALL)
    series = np.random.default_rng(0).normal(size=(60, 6))
    names = {"timeseries": series, "tr": 2.0, "site": "a"}
    exec(example.replace("path/or/repository", str(fitted)), names)
    # Sixty frames of this repetition time take two windows to cover.
    assert names["vectors"].shape == (2, 128)


def test_the_card_travels_with_the_tokenizer_and_changes_no_fingerprint(fitted, tmp_path):
    tokenizer = FMRITokenizer.from_pretrained(fitted)
    before = tokenizer.fingerprint
    assert tokenizer.card == (fitted / "README.md").read_text()
    tokenizer.save_pretrained(tmp_path)
    assert (tmp_path / "README.md").read_bytes() == (fitted / "README.md").read_bytes()
    tokenizer.card = "another"
    assert tokenizer.fingerprint == before


def test_without_a_run_the_card_says_that_nothing_is_recorded(make_tokenizer, tmp_path):
    tokenizer = make_tokenizer()
    assert model_card(tokenizer).count("Not recorded in this card.") == 2
    tokenizer.save_pretrained(tmp_path)
    assert not (tmp_path / "README.md").exists()


def test_the_card_lists_the_limits_of_the_configuration(make_tokenizer):
    assert "leaks the target" in model_card(make_tokenizer(temporal_attention="full"))
    assert "leaks the target" not in model_card(make_tokenizer())
    assert "no code is about one region" not in model_card(make_tokenizer(token_basis="regions"))


def test_facts_may_be_plain_mappings(make_tokenizer):
    facts = RunFacts(settings={"loop": {"steps": 7}}, seed=1, n_scans={"train": 2}, quality={})
    assert table(model_card(make_tokenizer(), facts), "Training")["loop.steps"] == ["7"]
