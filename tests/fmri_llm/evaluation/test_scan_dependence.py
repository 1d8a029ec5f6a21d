"""What a model's text owes to the scan: the right one, another person's, none."""

import datasets
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score

from fmri_llm.base_model import chat
from fmri_llm.data.captions import DESCRIBE_PROMPTS
from fmri_llm.data.examples import TokenWindows, scans_of, token_lengths
from fmri_llm.data.feature_questions import FeatureQuestions
from fmri_llm.evaluation.roc import roc_auc
from fmri_llm.evaluation.scan_dependence import ScanDependence, measure_scan_dependence
from fmri_llm.evaluation.written_captions import compare_directions
from fmri_vqtok.formats.captions import Caption

from ..tiny import N_CODES, N_REGIONS, N_STEPS

SCANS = [f"s{k}" for k in range(6)]
NETWORKS = ("Visual", "Limbic")
COLUMNS = [
    "fc.Visual-Limbic",
    "graph.modularity",
    *(f"graph.network_strength.{n}" for n in NETWORKS),
]


def windows_of(scan_ids=SCANS):
    codes = np.random.default_rng(0).integers(N_CODES, size=(len(scan_ids), N_STEPS, N_REGIONS))
    table = {
        "scan_id": scan_ids,
        "window": [0] * len(scan_ids),
        "codes": codes.tolist(),
        "mask": [[True] * N_REGIONS] * len(scan_ids),
    }
    return TokenWindows(datasets.Dataset.from_dict(table))


def questions():
    z = np.random.default_rng(1).normal(size=(len(SCANS), len(COLUMNS)))
    return FeatureQuestions(pd.DataFrame(z, index=SCANS, columns=COLUMNS))


CAPTIONS = {name: {"FC": Caption(f"Alpha is {k}. Beta is high.")} for k, name in enumerate(SCANS)}


def measure(model, n_scans=6, windows=None, n_captions=0):
    return measure_scan_dependence(
        model,
        windows or windows_of(),
        CAPTIONS,
        questions(),
        n_scans=n_scans,
        n_questions=3,
        text_tokens=40,
        n_captions=n_captions,
        caption_tokens=4,
    )


def blind(model):
    """Silence everything that a scan says."""
    with torch.no_grad():
        for part in (model.brain.relations, model.brain.scale):
            part.weight.zero_()
        model.brain.filter_tokens.weight.zero_()
        model.brain.measures.direction.zero_()
    return model


@pytest.mark.parametrize("seed", range(3))
def test_the_area_under_the_curve_is_that_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    positive, scores = rng.random(40) < 0.4, rng.integers(8, size=40).astype(float)  # with ties
    assert roc_auc(positive, scores) == pytest.approx(roc_auc_score(positive, scores))


def test_a_single_class_tells_nothing_apart():
    assert roc_auc(np.ones(3, dtype=bool), np.arange(3.0)) == 0.5


def test_a_model_that_is_blind_does_as_well_on_other_scans_and_a_sentence_says_so(make_model):
    found = measure(blind(make_model()))
    for figures in (found.question_auc, found.question_accuracy, found.caption_loss):
        assert figures["own"] == figures["shuffled"] == figures["empty"]
    assert "does as well on other people's scans" in found.verdict


def test_a_model_that_reads_the_scan_differs_between_the_scan_another_one_and_none(tiny_model):
    losses = measure(tiny_model).caption_loss
    assert len({round(loss, 4) for loss in losses.values()}) == 3


@torch.no_grad()
def test_the_loss_of_captions_is_that_of_their_own_or_anothers_scan(tiny_model):
    found, windows = measure(tiny_model), windows_of()
    prompt = chat.question(DESCRIBE_PROMPTS["FC"])

    def likelihood(scan, of):
        scans = scans_of([windows.scan(scan)])
        return tiny_model.score_answers(scans, [prompt], [str(CAPTIONS[of]["FC"])]).item()

    n_tokens = sum(
        token_lengths(tiny_model.text_tokenizer, [str(c["FC"]) for c in CAPTIONS.values()])
    )
    for condition, shift in (("own", 0), ("shuffled", 3)):
        total = sum(likelihood(SCANS[(k + shift) % 6], SCANS[k]) for k in range(6))
        assert found.caption_loss[condition] == pytest.approx(-total / n_tokens, rel=1e-4)


def test_a_scan_is_read_once_whatever_is_asked_of_it(tiny_model, monkeypatch):
    given = []
    prefill = tiny_model.prefill
    monkeypatch.setattr(
        tiny_model, "prefill", lambda *scans: given.append(scans) or prefill(*scans)
    )
    measure(tiny_model, n_scans=4)
    assert len(given) == 4 + 1  # and the empty one


def directions_of(*signs):
    """Agreement where captions put the modularity above or below: of each scan, and of none."""
    words = {1: "above", -1: "below"}
    texts = [[f"Modularity is {words[sign]} the typical range.", "No more."] for sign in signs]
    return compare_directions(texts[:-1], texts[-1], SCANS[: len(signs) - 1], questions())


def test_directions_are_compared_with_the_scans_own_z_score_in_all_three_conditions():
    z = questions().z_scores(SCANS[:4])[:, questions().columns.index("graph.modularity")]
    signs = np.sign(z)

    found = directions_of(*signs, 1)

    assert found["direction_agreement"] == {
        "own": 1.0,
        "shuffled": np.mean(signs == np.roll(signs, 2)),
        "empty": np.mean(signs == 1),
    }
    assert found["n_directions"] == 4
    assert directions_of(*-signs, 1)["direction_agreement"]["own"] == 0.0


def test_captions_are_written_as_the_model_itself_writes_them(tiny_model):
    found = measure(tiny_model, n_captions=2)
    assert found.n_captions == 2
    assert found.n_directions == 0  # random weights write no English
    assert found.direction_agreement == dict.fromkeys(("own", "shuffled", "empty"))


def test_nothing_is_measured_on_a_single_scan(tiny_model):
    assert measure(tiny_model, windows=windows_of(SCANS[:1])) is None


def test_what_is_written_is_read_again_with_its_verdict(tiny_model, tmp_path):
    found = measure(tiny_model)
    found.write(tmp_path)
    assert ScanDependence.read(tmp_path) == found
    assert ScanDependence.read(tmp_path / "elsewhere") is None
    assert found.verdict in (tmp_path / "scan-dependence.json").read_text()
