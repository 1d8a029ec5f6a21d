"""ml4fmri's cross-validation, as it is published, runs a tokenizer."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from fmri_vqtok import FMRITokenizer, FMRITokenizerConfig, InputError, TimeSeriesProcessor
from fmri_vqtok.evaluation.ml4fmri import TokenizerClassifier

N_FRAMES, N_REGIONS = 64, 6


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    config = FMRITokenizerConfig.preset(
        "tiny", n_regions=N_REGIONS, n_frames=N_FRAMES, width=16, n_codes=16, code_width=4
    )
    processor = TimeSeriesProcessor(N_FRAMES, 2.0)
    windows = torch.cat([processor(recording, tr=2.0)[0] for recording in two_groups()[0]])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tokenizer = FMRITokenizer(config, processor)
    tokenizer.initialise(windows, torch.Generator().manual_seed(0))
    folder = tmp_path_factory.mktemp("checkpoint")
    tokenizer.save_pretrained(folder)
    return folder


def two_groups(n_recordings=40, n_frames=N_FRAMES):
    """Recordings of which every second one is much smoother in time."""
    rng = np.random.default_rng(0)
    labels = np.arange(n_recordings) % 2
    data = rng.normal(size=(n_recordings, n_frames, N_REGIONS))
    for frame in range(1, n_frames):
        data[:, frame] += 0.9 * labels[:, None] * data[:, frame - 1]
    return data, labels


@pytest.fixture
def classifier(checkpoint):
    """Make a subclass for the checkpoint with other attributes."""

    def make(**attributes):
        attributes = {"checkpoint": str(checkpoint), "tr": 2.0, **attributes}
        return type("Ours", (TokenizerClassifier,), attributes)

    return make


BENCH = """
import sys
import numpy as np
from ml4fmri import cvbench
from fmri_vqtok.evaluation.ml4fmri import TokenizerClassifier

class Frozen(TokenizerClassifier):
    checkpoint = sys.argv[1]
    tr = 2.0
    lr = 0.05

class FineTuned(Frozen):
    fine_tune = True

arrays = np.load(sys.argv[2])
cvbench(arrays["data"], arrays["labels"], models=["meanMLP"], custom_models=[Frozen, FineTuned],
        n_folds=2, epochs=12, device="cpu", save_dir=sys.argv[3])
"""


@pytest.mark.slow
def test_the_cross_validation_of_ml4fmri_scores_a_tokenizer_beside_its_own_models(
    checkpoint, tmp_path
):
    data, labels = two_groups()
    np.savez(tmp_path / "arrays.npz", data=data, labels=labels)
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-c", BENCH, checkpoint, tmp_path / "arrays.npz", out],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((out / "cvbench_meta.json").read_text())["status"] == "completed"
    scores = pd.read_csv(out / "cvbench_test.csv").groupby("model")["test_auc"].min()
    assert set(scores.index) == {"Frozen", "FineTuned", "meanMLP"}
    assert scores["Frozen"] > 0.95
    assert scores["FineTuned"] > 0.95
    predictions = pd.read_csv(out / "cvbench_predictions.csv")
    counts = predictions.groupby("model")["sample_id"].agg(["count", "nunique"])
    assert (counts == len(labels)).all(axis=None)


def test_a_frozen_tokenizer_keeps_every_weight_and_a_fine_tuned_one_moves_its_encoder(classifier):
    data, labels = two_groups(16)
    for fine_tune in (False, True):
        made = classifier(fine_tune=fine_tune)
        model = made(input_size=N_REGIONS, output_size=2)
        before = {name: value.clone() for name, value in model.tokenizer.state_dict().items()}
        loader = made.prepare_dataloader(data, labels)
        model.train_model(loader, loader, loader, epochs=2, device="cpu")
        after = model.tokenizer.state_dict()
        moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
        assert all(name.startswith("encoder.") for name in moved)
        assert bool(moved) == fine_tune


def test_features_made_once_score_like_windows(classifier):
    data, labels = two_groups(6, n_frames=2 * N_FRAMES)
    data[0, :, 2] = 0.0
    made = classifier(pooling="regions")
    model = made(input_size=N_REGIONS, output_size=3).eval()
    loader = made.prepare_dataloader(data, labels, batch_size=4, shuffle=False)
    embedded = model._embedded(loader)
    for (windows, present, _), (features, _) in zip(loader, embedded, strict=True):
        assert windows.shape[1:] == (2, N_FRAMES, N_REGIONS)
        torch.testing.assert_close(model(features)[0], model(windows, present)[0])
    assert not features.isnan().any()


def test_columns_bring_the_data_into_the_tokenizers_order(classifier):
    data, labels = two_groups(4)
    shuffled = np.random.default_rng(1).permutation(N_REGIONS)
    plain = classifier().prepare_dataloader(data, labels, shuffle=False).dataset.tensors[0]
    undone = classifier(columns=np.argsort(shuffled)).prepare_dataloader(
        data[..., shuffled], labels, shuffle=False
    )
    torch.testing.assert_close(undone.dataset.tensors[0], plain)


def test_a_wrong_attribute_of_a_subclass_is_an_error_of_one_line(classifier, checkpoint, tmp_path):
    data, labels = two_groups(4)
    with pytest.raises(InputError, match=r"^checkpoint: none; set the tokenizer's folder"):
        classifier(checkpoint=None)(N_REGIONS, 2)
    with pytest.raises(InputError, match=r"^tr: none; set the data's repetition time"):
        classifier(tr=None).prepare_dataloader(data, labels)
    with pytest.raises(InputError, match=r"^data: 7 regions, but the tokenizer has 6"):
        classifier()(7, 2)
    with pytest.raises(InputError, match=r"^embedding: 'quantized' cannot be fine-tuned"):
        classifier(fine_tune=True, embedding="quantized")(N_REGIONS, 2)
    tokenizer = FMRITokenizer.from_pretrained(checkpoint)
    tokenizer.processor = None
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="no processor in it"):
        classifier(checkpoint=str(tmp_path)).prepare_dataloader(data, labels)
