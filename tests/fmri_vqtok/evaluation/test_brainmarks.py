"""The evaluation suite brainmarks, as it is published, runs a tokenizer."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from datasets import Array2D, Dataset, Features, Value

from fmri_descriptors.parcellation.orders import order_labels
from fmri_vqtok import FMRITokenizer, FMRITokenizerConfig, InputError, TimeSeriesProcessor
from fmri_vqtok.evaluation.region_order import order_hash
from fmri_vqtok.library_logging import quiet_datasets

N_FRAMES = 64
SUITE = order_labels("tian3-schaefer400-17n")
OWN = order_labels("tian3-schaefer400-7n")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """Tokenizer with random weights in the 7-network order; only its hash says so."""
    config = FMRITokenizerConfig.preset(
        "tiny", n_regions=450, n_frames=N_FRAMES, width=8, n_codes=32, code_width=2
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tokenizer = FMRITokenizer(
            config, TimeSeriesProcessor(N_FRAMES, 2.0), "tian3-schaefer400-7n", order_hash(OWN)
        )
    folder = tmp_path_factory.mktemp("checkpoint")
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def make_model():
    from brainmarks.models.registry import create_model

    return lambda **settings: create_model("fmri_vqtok", **settings)


def a_series(n_frames, seed, smoothness=0.5):
    """Series of all regions by name; each region is a first-order autoregression of its own."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n_frames, 450))
    for frame in range(1, n_frames):
        values[frame] += smoothness * values[frame - 1]
    return dict(zip(sorted(SUITE), values.T, strict=True))


def in_suite_order(series):
    return np.stack([series[name] for name in SUITE], axis=1)


def in_own_order(series):
    """Columns by the 7-network names: the same parcels, found through the other table."""
    names_17n = dict(zip(OWN, _suite_names_of(OWN), strict=True))
    return np.stack([series[names_17n[name]] for name in OWN], axis=1)


def _suite_names_of(names_7n):
    from fmri_descriptors.parcellation.orders import permutation

    return [SUITE[k] for k in permutation("tian3-schaefer400-17n", "tian3-schaefer400-7n")]


def a_sample(bold, tr=2.0, **more):
    """A sample as the suite hands it out."""
    mean, std = bold.mean(axis=0, keepdims=True), bold.std(axis=0, keepdims=True)
    return {
        "bold": torch.tensor((bold - mean) / std, dtype=torch.float16).float(),
        "mean": torch.tensor(mean),
        "std": torch.tensor(std),
        "tr": torch.tensor(tr),
        **more,
    }


def a_batch(transform, *samples):
    return torch.utils.data.default_collate([transform(dict(sample)) for sample in samples])


def test_every_region_reaches_its_own_place_in_the_tokenizer(make_model, checkpoint):
    transform, model = make_model(checkpoint=checkpoint)
    series = a_series(N_FRAMES, seed=1)
    embedded = model(a_batch(transform, a_sample(in_suite_order(series)))).patch_embeds

    tokenizer = FMRITokenizer.from_pretrained(checkpoint)
    windows, _ = tokenizer.processor(a_sample(in_own_order(series))["bold"].numpy(), tr=2.0)
    expected = tokenizer.embed(windows).flatten(1, 2)
    torch.testing.assert_close(embedded, expected)

    unpermuted, _ = tokenizer.processor(a_sample(in_suite_order(series))["bold"].numpy(), tr=2.0)
    wrong = tokenizer.embed(unpermuted).unflatten(1, (2,))
    differs = (wrong[0, 0] - expected.unflatten(1, (2, 450))[0, 0]).abs().amax(dim=1) > 0.1
    assert differs.sum() == 450 - 54


def test_the_samples_of_the_suite_s_own_smoke_test_pass(make_model, checkpoint, monkeypatch):
    monkeypatch.setenv("FMRI_VQTOK_CHECKPOINT", str(checkpoint))
    transform, model = make_model()
    assert model.__space__ == "schaefer400_tians3"
    for n_frames in (16, 160):
        # As in brainmarks/models/test_models.py, which needs a flat-map library to be imported.
        sample = {
            "tr": 1.0,
            "bold": torch.randn(n_frames, 450),
            "mean": torch.randn(1, 450),
            "std": torch.randn(1, 450),
        }
        cls, reg, patch = model(a_batch(transform, sample, sample))
        assert cls.shape == (2, 1, 16)
        assert reg.shape == (2, 450, 8)
        assert patch.shape == (2, 2 * 450, 8)


def test_a_long_and_a_short_scan_share_a_batch_and_keep_their_embeddings(make_model, checkpoint):
    transform, model = make_model(checkpoint=checkpoint)
    short = a_sample(in_suite_order(a_series(N_FRAMES, seed=2)))
    long = a_sample(in_suite_order(a_series(3 * N_FRAMES + 5, seed=3)))
    together = model(a_batch(transform, long, short))
    for place, sample in enumerate((long, short)):
        for alone, batched in zip(model(a_batch(transform, sample)), together, strict=True):
            torch.testing.assert_close(batched[place], alone[0])


def test_windows_after_the_last_one_asked_for_are_left_out(make_model, checkpoint):
    bold = in_suite_order(a_series(2 * N_FRAMES, seed=4))
    one, model = make_model(checkpoint=checkpoint, max_windows=1)
    both, _ = make_model(checkpoint=checkpoint, max_windows=2)
    first = model(a_batch(one, a_sample(bold))).reg_embeds
    assert not torch.allclose(first, model(a_batch(both, a_sample(bold))).reg_embeds)


def test_a_scan_at_another_rate_is_resampled(make_model, checkpoint):
    transform, _ = make_model(checkpoint=checkpoint)
    sample = a_sample(in_suite_order(a_series(2 * N_FRAMES, seed=5)), tr=1.0)
    assert transform(sample)["window_mask"].tolist() == [True, False, False, False]


def test_a_region_without_signal_does_not_count(make_model, checkpoint):
    transform, model = make_model(checkpoint=checkpoint, pooling="mean")
    sample = a_sample(in_suite_order(a_series(N_FRAMES, seed=6)))
    sample["bold"][:, 60] = 0.0
    batch = a_batch(transform, sample)
    missing = OWN[int((~batch["region_mask"][0]).nonzero())]
    assert _suite_names_of(OWN)[OWN.index(missing)] == SUITE[60]
    cls, reg, _ = model(batch)
    kept = reg[0][batch["region_mask"][0]].mean(dim=0)
    torch.testing.assert_close(cls[0, 0], kept)


def test_no_region_attends_to_a_missing_one(make_model, checkpoint):
    transform, model = make_model(checkpoint=checkpoint)
    sample = a_sample(in_suite_order(a_series(N_FRAMES, seed=6)))
    sample["bold"][:, 60] = 0.0
    batch = a_batch(transform, sample)
    windows = batch["windows"][:, 0]
    expected = model.tokenizer.embed(windows, region_mask=batch["region_mask"]).flatten(1, 2)
    embedded = model(batch).patch_embeds
    torch.testing.assert_close(embedded, expected)
    assert not torch.equal(embedded, model.tokenizer.embed(windows).flatten(1, 2))


def test_decoded_codes_can_be_evaluated_instead(make_model, checkpoint):
    transform, model = make_model(checkpoint=checkpoint, embedding="quantized")
    batch = a_batch(transform, a_sample(in_suite_order(a_series(N_FRAMES, seed=7))))
    expected = model.tokenizer.encode(batch["windows"][:, 0]).quantized
    torch.testing.assert_close(model(batch).patch_embeds, expected.flatten(1, 2))


def test_a_wrong_setting_is_an_error_of_one_line(make_model, checkpoint, tmp_path, monkeypatch):
    monkeypatch.delenv("FMRI_VQTOK_CHECKPOINT", raising=False)
    with pytest.raises(InputError, match=r"^checkpoint: none given; add `--overrides"):
        make_model()
    with pytest.raises(InputError, match=r"^embedding: 'codes'; give one of 'latents'"):
        make_model(checkpoint=checkpoint, embedding="codes")
    with pytest.raises(InputError, match=r"^pooling: 'max'; give one of 'statistics'"):
        make_model(checkpoint=checkpoint, pooling="max")
    with pytest.raises(InputError, match=r"^max_windows: 0; give at least 1"):
        make_model(checkpoint=checkpoint, max_windows=0)
    tokenizer = FMRITokenizer.from_pretrained(checkpoint)
    tokenizer.processor = None
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="no processor in it"):
        make_model(checkpoint=tmp_path)


def write_suite_data(root):
    """Data set "abide" of the suite: one sex has smoother signals than the other."""
    rows = {"train": range(12), "validation": range(12, 16), "test": range(16, 24)}
    features = Features(
        {
            "sub": Value("string"),
            "tr": Value("float32"),
            "bold": Array2D(shape=(None, 450), dtype="float16"),
            "mean": Array2D(shape=(1, 450), dtype="float32"),
            "std": Array2D(shape=(1, 450), dtype="float32"),
        }
    )
    for split, seeds in rows.items():
        samples = [
            {
                "sub": f"{seed:02}",
                **a_sample(in_suite_order(a_series(N_FRAMES, seed, 0.9 * (seed % 2)))),
            }
            for seed in seeds
        ]
        table = [{k: np.asarray(v) if k != "sub" else v for k, v in s.items()} for s in samples]
        with quiet_datasets():
            Dataset.from_list(table, features=features).save_to_disk(
                str(root / "abide.schaefer400_tians3.arrow" / split)
            )
    (root / "targets").mkdir()
    sexes = {f"{seed:02}": "FM"[seed % 2] for seeds in rows.values() for seed in seeds}
    (root / "targets" / "abide_target_map_sex.json").write_text(json.dumps(sexes))


@pytest.mark.slow
def test_the_command_of_the_suite_scores_a_checkpoint(checkpoint, tmp_path):
    write_suite_data(tmp_path / "data")
    command = ["-m", "brainmarks.main_logistic", "fmri_vqtok", "cls", "abide_sex", "--overrides"]
    overrides = [
        f"model_kwargs.checkpoint={checkpoint}",
        f"output_root={tmp_path / 'output'}",
        *["device=cpu", "amp=false", "num_workers=1", "n_trials=0", "batch_size=16", "Cs=3"],
    ]
    environment = os.environ | {
        "ABIDE_ROOT": str(tmp_path / "data"),
        "HF_DATASETS_CACHE": str(tmp_path / "cache"),
    }
    done = subprocess.run(
        [sys.executable, *command, *overrides],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / "output" / "eval_logistic" / "abide_sex__fmri_vqtok__cls__logistic"
    table = pd.read_csv(folder / "eval_table.csv").set_index("split")
    assert table.loc["test", "bacc"] == 1.0
