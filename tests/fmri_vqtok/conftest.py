"""A small cohort with captions, a corpus and a random language model, all on disk."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

N_REGIONS = 6
LABELS = [f"region {n}" for n in range(N_REGIONS)]


def make_scan(seed, n_frames=160):
    rng = np.random.default_rng(seed)
    sources = rng.normal(size=(n_frames, 2)).cumsum(axis=0)
    return sources @ rng.normal(size=(2, N_REGIONS)) + rng.normal(size=(n_frames, N_REGIONS))


def _write_cohort(directory, *, test_seed=90, validation_seed=50, schema=1, frames=160):
    """Cohort of four training, one validation and two test scans of two sites."""
    from datasets import Dataset, DatasetDict

    from fmri_vqtok.library_logging import quiet_datasets

    seeds = {"train": range(4), "validation": [validation_seed], "test": [test_seed, test_seed + 1]}
    splits = {
        split: [_row(split, seed, frames) for seed in group] for split, group in seeds.items()
    }
    tables = {name: Dataset.from_list(rows) for name, rows in splits.items()}
    directory.mkdir(exist_ok=True)
    with quiet_datasets():
        DatasetDict(tables).save_to_disk(str(directory))
    description = {
        "schema": schema,
        "parcellation": "six",
        "n_regions": N_REGIONS,
        "order_hash": "six-hash",
        "labels": LABELS,
    }
    (directory / "cohort.json").write_text(json.dumps(description))
    return directory


def _row(split, seed, frames):
    values = make_scan(seed, max(frames, 2))
    scaled = (values - values.mean(axis=0)) / values.std(axis=0)
    if split == "test":
        scaled[:, 1] = 0.0
    return {
        "scan_id": f"{split}-{seed % 10}",
        "site": "ab"[seed % 2],
        "tr": np.float32(2.0),
        "bold": scaled[:frames].astype(np.float16),
    }


def _make_tokenizer(region_features=None, labels=None, seed=0, **changes):
    """Untrained tokenizer of five regions, three steps of eight frames, in evaluation mode."""
    from fmri_vqtok import FMRITokenizer, FMRITokenizerConfig, TimeSeriesProcessor

    sizes = {
        "n_regions": 5, "n_frames": 24, "patch_frames": 8, "width": 16, "n_heads": 2,
        "encoder_depth": 2, "decoder_depth": 2, "n_codes": 32, "code_width": 4,
    }  # fmt: skip
    if region_features is not None:
        sizes |= {"region_positions": "geometry", "n_position_features": region_features.shape[1]}
    torch.manual_seed(seed)
    config = FMRITokenizerConfig(**{**sizes, **changes})
    tokenizer = FMRITokenizer(
        config, TimeSeriesProcessor(24), labels=labels, region_features=region_features
    )
    # Attention has to matter, as after training: a fresh block hardly changes its input.
    for name, parameter in tokenizer.named_parameters():
        if "to_out.weight" in name or "mlp_out.weight" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return tokenizer.eval()


@pytest.fixture(scope="session")
def make_tokenizer():
    """Function that makes a small tokenizer whose blocks do something."""
    return _make_tokenizer


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Keep what tests compute out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("FMRI_LM_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def write_cohort():
    """Function that writes a cohort into a folder; the training scans are always the same."""
    return _write_cohort


@pytest.fixture(scope="session")
def cohort_dir(tmp_path_factory):
    return _write_cohort(tmp_path_factory.mktemp("cohort"))


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus") / "corpus.txt"
    path.write_text("the brain has many regions and the regions have many moods . " * 20)
    return path


@pytest.fixture(scope="session")
def descriptors_dir(tmp_path_factory):
    directory = tmp_path_factory.mktemp("descriptors")
    moods = ["calm", "loud", "slow", "quick", "odd", "even", "wide"]
    ids = [f"train-{i}" for i in range(4)] + ["validation-0"]
    rows = [
        {"scan_id": scan_id, "domain": "all", "text": f"the regions are {mood} ."}
        for scan_id, mood in zip(ids, moods, strict=False)
    ]
    rows.append({"scan_id": "train-0", "domain": "FC", "text": "not this one"})
    (directory / "captions.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return directory


@pytest.fixture(scope="session")
def language_model(tmp_path_factory, corpus):
    """Random Llama of width 16 with a word tokenizer."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    directory = tmp_path_factory.mktemp("language-model")
    words = sorted({*corpus.read_text().split(), "are", "calm", "loud", "slow", "quick", "odd"})
    vocabulary = {word: k for k, word in enumerate(["[UNK]", *words])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]").save_pretrained(directory)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=len(vocabulary),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
        )
        LlamaForCausalLM(config).save_pretrained(directory)
    return directory


@pytest.fixture(scope="session")
def loop_run():
    """The small training run of each quantizer, which other processes start as a script."""
    spec = importlib.util.spec_from_file_location(
        "loop_run", Path(__file__).with_name("loop_run.py")
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def one_thread():
    """Sums depend on the number of threads: here, and in processes that tests start, it is one."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)
