import subprocess
import sys

import pytest

from fmri_vqtok.config.stages import FitTokenizerSettings, LoopSettings, TokenizeSettings
from fmri_vqtok.errors import InputError

INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("settings", "key", "value"),
    [
        (LoopSettings, "steps", 0),
        (LoopSettings, "learning_rate", 0.0),
        (LoopSettings, "warmup_fraction", 1.0),
        (LoopSettings, "weight_decay", -0.1),
        (FitTokenizerSettings, "patch_frames", 0),
        (FitTokenizerSettings, "target_tr", -2.0),
        (FitTokenizerSettings, "domain_weight", -1.0),
        (FitTokenizerSettings, "contrastive_weight", -0.5),
        (FitTokenizerSettings, "corpus_limit", 0),
        (FitTokenizerSettings, "region_dropout", 1.0),
        (TokenizeSettings, "batch_size", 0),
        (TokenizeSettings, "n_jobs", 0),
        (TokenizeSettings, "shard_scans", 0),
        (LoopSettings, "accumulation_steps", 0),
        (LoopSettings, "accumulation_steps", 5),
        (LoopSettings, "patience", -1),
        (LoopSettings, "learning_rate", INF),
        (LoopSettings, "learning_rate", NAN),
        (LoopSettings, "max_grad_norm", NAN),
        (LoopSettings, "weight_decay", INF),
        (LoopSettings, "warmup_fraction", NAN),
        (FitTokenizerSettings, "n_codes", -1),
        (FitTokenizerSettings, "target_tr", INF),
        (FitTokenizerSettings, "domain_weight", INF),
        (FitTokenizerSettings, "domain_weight", NAN),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name_and_value(settings, key, value):
    with pytest.raises(InputError, match=f"{key}: {value}; give"):
        settings(**{key: value})


@pytest.mark.parametrize(
    ("settings", "key", "value", "near"),
    [
        (LoopSettings, "precision", "float61", "float16"),
        (FitTokenizerSettings, "training_windows", "clips", "clip"),
        (FitTokenizerSettings, "quantizer", "vqq", "vq"),
        (FitTokenizerSettings, "contrast", "siglips", "siglip"),
        (FitTokenizerSettings, "pooling", "attentions", "attention"),
        (FitTokenizerSettings, "windows", "clips", "clip"),
        (FitTokenizerSettings, "region_positions", "learneds", "learned"),
        (FitTokenizerSettings, "decoder", "lights", "light"),
        (FitTokenizerSettings, "attention", "factoriseds", "factorised"),
        (FitTokenizerSettings, "temporal_attention", "causals", "causal"),
    ],
)
def test_a_word_that_is_no_choice_is_refused_with_the_nearest_one(settings, key, value, near):
    with pytest.raises(InputError, match=f"{key}: '{value}'; give .* did you mean '{near}'"):
        settings(**{key: value})


def test_without_a_number_of_codes_a_fit_has_that_of_its_preset_or_quantizer():
    assert FitTokenizerSettings(preset="S").n_codes is None
    assert FitTokenizerSettings(quantizer="fsq").n_codes is None


def loaded_by(statement):
    names = ("torch", "transformers", "datasets", "nilearn")
    code = f"import sys; {statement}; print([n for n in {names} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_commands_and_settings_load_nothing_heavy():
    assert loaded_by("import fmri_vqtok.commands, fmri_vqtok.config.stages") == "[]"


def test_the_tokenizer_needs_neither_transformers_nor_datasets_nor_nilearn():
    statement = "import fmri_vqtok as v; v.FMRITokenizer; v.TimeSeriesProcessor; v.kernels"
    assert loaded_by(statement) == "['torch']"
