import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from fmri_vqtok.alignment.alignment import TextAlignment
from fmri_vqtok.config import quantizers
from fmri_vqtok.config.stages import FitTokenizerSettings, LoopSettings
from fmri_vqtok.data.window_dataset import NormalisedScan, TextDraws, TrainingWindowDataset
from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.cohort import Cohort
from fmri_vqtok.processor import TimeSeriesProcessor
from fmri_vqtok.quantizers import VectorQuantizer
from fmri_vqtok.text.caption_targets import caption_targets, read_sentences
from fmri_vqtok.text.features import text_features
from fmri_vqtok.tokenizer import FMRITokenizer, FMRITokenizerConfig
from fmri_vqtok.training.fit import TextSource, fit_tokenizer
from fmri_vqtok.training.log import read_losses
from fmri_vqtok.training.objective import TokenizerObjective, masked_mse

N_REGIONS = 6
SETTINGS = FitTokenizerSettings(
    n_frames=48,
    patch_frames=16,
    n_codes=32,
    text_tokens=8,
    training=LoopSettings(steps=6, batch_size=4, checkpoint_every=2, evaluate_every=3, log_every=2),
)
FILES = ("config.json", "losses.csv", "model.safetensors", "quality.json", "reconstruction.npz")

KILLED_RUN = """
import os, signal, sys
from pathlib import Path
import torch
from fmri_vqtok.config.quantizers import *
from fmri_vqtok.config.stages import FitTokenizerSettings, LoopSettings
from fmri_vqtok.training.fit import TextSource, fit_tokenizer

def progress(done, total):
    if done == 5:
        os.kill(os.getpid(), signal.SIGKILL)

cohort, directory, descriptors, corpus, model = map(Path, sys.argv[1:])
text = TextSource(descriptors, corpus, model, "tiny")
settings = {settings}
torch.set_num_threads(1)
fit_tokenizer(cohort, directory, settings, seed=7, text=text, progress=progress)
"""


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def text(descriptors_dir, corpus, language_model):
    return TextSource(descriptors_dir, corpus, language_model, "tiny")


@pytest.fixture(scope="module")
def said():
    """What the fit below says and notes."""
    return {}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, cohort_dir, text, said):
    directory = tmp_path_factory.mktemp("tokenizer")
    said["line"] = fit_tokenizer(
        cohort_dir, directory, SETTINGS, seed=7, text=text, note=said.update
    )
    return directory


def test_the_line_and_the_record_tell_the_alignment_beside_chance_and_what_was_read(fitted, said):
    last = {r.name: r.value for r in read_losses(fitted / "losses.csv") if r.split == "validation"}
    assert f"domain loss {last['domain']:.2f} (chance 0.69), contrast" in said["line"]
    assert said["line"].endswith("captions: 5 sentences (all), 0 left out")
    assert said["captions"] == {
        "scans": 5, "domains": {"all": 5}, "sentences": 5, "sentences_left_out": 0
    }  # fmt: skip


def make_objective():
    torch.manual_seed(0)
    config = FMRITokenizerConfig(
        n_regions=N_REGIONS, n_frames=24, patch_frames=8, width=16, n_heads=2, encoder_depth=1,
        decoder_depth=1, n_codes=16, code_width=4, text_width=10,
    )  # fmt: skip
    captions = torch.randn(4, 10)
    alignment = TextAlignment(torch.randn(30, 10), captions, captions.mean(dim=0))
    objective = TokenizerObjective(FMRITokenizer(config), alignment, 0.5)
    objective.set_progress(0.5)
    return objective


def make_batch():
    generator = torch.Generator().manual_seed(2)
    return {
        "signal": torch.randn(4, 24, N_REGIONS, generator=generator),
        "mask": torch.ones(4, N_REGIONS, dtype=torch.bool),
        "hidden": torch.zeros(4, N_REGIONS, dtype=torch.bool),
        "scans": torch.arange(4),
        "text_ids": torch.randint(30, (4, 7), generator=generator),
    }


def test_the_total_is_equation_4():
    out = make_objective()(**make_batch())
    parts = out["losses"]
    assert set(parts) == {"reconstruction", "commitment", "domain", "contrastive"}
    expected = (
        parts["reconstruction"] + parts["commitment"] + parts["contrastive"] + 0.5 * parts["domain"]
    )
    assert out["loss"].item() == pytest.approx(expected.item(), rel=1e-6)


def test_the_contrast_counts_scans_and_its_chance_is_that_of_as_many():
    objective, batch = make_objective(), make_batch()
    batch["scans"] = torch.tensor([2, 0, 2, 2])
    assert objective.loss_counts(**batch)["contrastive"] == 2
    tallies = objective(**batch)["tallies"]
    found = objective.metrics(tallies)
    assert found["contrastive_chance"] == pytest.approx(np.log(2))
    # Over two batches each scan counts once: (2 log 2 + 4 log 4) / 6.
    other = objective(**make_batch())["tallies"]
    found = objective.metrics({name: tallies[name] + other[name] for name in tallies})
    assert found["contrastive_chance"] == pytest.approx((2 * np.log(2) + 4 * np.log(4)) / 6)
    assert found["domain_chance"] == pytest.approx(np.log(2))


def test_a_part_of_one_example_has_nothing_to_contrast_and_is_refused(tmp_path, cohort_dir, text):
    loop = replace(SETTINGS.training, accumulation_steps=4)
    with pytest.raises(InputError, match=r"training.batch_size: 4 in 4 parts .*give at least 8"):
        fit_tokenizer(cohort_dir, tmp_path, replace(SETTINGS, training=loop), seed=7, text=text)


def test_the_contrast_weighs_in_the_total_as_the_settings_say():
    heavy = make_objective()
    heavy.weights["contrastive"] = 3.0
    out, plain = heavy(**make_batch()), make_objective()(**make_batch())
    expected = plain["loss"] + 2.0 * plain["losses"]["contrastive"]
    assert out["loss"].item() == pytest.approx(expected.item(), rel=1e-6)


def test_one_step_moves_every_parameter_and_no_frozen_text_target():
    objective = make_objective()
    table, captions = objective.alignment.table.clone(), objective.alignment.captions.clone()
    before = {name: p.detach().clone() for name, p in objective.named_parameters()}
    optimiser = torch.optim.AdamW(objective.parameters(), lr=1e-3, weight_decay=0.0)
    objective(**make_batch())["loss"].backward()
    optimiser.step()
    still = {n for n, p in objective.named_parameters() if torch.equal(p, before[n])}
    assert still == set()
    assert torch.equal(objective.alignment.table, table)
    assert torch.equal(objective.alignment.captions, captions)


@pytest.mark.parametrize("name", ["domain", "contrastive", "reconstruction", "commitment"])
def test_each_loss_alone_reaches_the_encoder(name):
    objective = make_objective()
    objective(**make_batch())["losses"][name].backward()
    gradient = objective.tokenizer.encoder.patch_embedding.weight.grad
    assert gradient.abs().max() > 0


def test_the_domain_loss_pushes_the_encoder_against_the_classifier():
    def encoder_gradient(progress):
        objective = make_objective()
        objective.alignment.strength = progress
        objective(**make_batch())["losses"]["domain"].backward()
        return objective.tokenizer.encoder.patch_embedding.weight.grad

    # A strength of -1 turns the reversal off: that is the gradient that would help.
    assert torch.allclose(encoder_gradient(1.0), -encoder_gradient(-1.0), rtol=1e-4, atol=1e-9)


def test_frozen_text_targets_are_in_no_checkpoint():
    names = make_objective().state_dict()
    assert not [name for name in names if "table" in name or "captions" in name]


def test_missing_regions_do_not_count_in_the_reconstruction():
    signal, mask = torch.ones(1, 4, 2), torch.tensor([[True, False]])
    assert masked_mse(signal, torch.tensor([3.0, 99.0]).expand(1, 4, 2), mask).item() == 4.0


def test_hidden_regions_are_not_seen_but_have_to_be_given():
    objective, batch = make_objective().eval(), make_batch()
    batch["hidden"][:, 2] = True
    unseen = {**batch, "signal": batch["signal"].clone()}
    unseen["signal"][..., 2] += 100.0
    one, other = objective(**batch)["losses"], objective(**unseen)["losses"]
    assert torch.equal(one["commitment"], other["commitment"])
    assert other["reconstruction"] > one["reconstruction"] + 100


def test_an_example_is_a_function_of_the_seed_and_its_place():
    scans = [
        NormalisedScan(f"s{k}", torch.randn(100, 3), torch.ones(3, dtype=torch.bool), k)
        for k in range(3)
    ]
    draws = TextDraws(torch.arange(50), 4)
    processor = TimeSeriesProcessor(20)

    def plan(n, seed=1):
        return TrainingWindowDataset(scans, processor, n, seed=seed, region_dropout=0.5, text=draws)

    one, longer, other = plan(10)[7], plan(99)[7], plan(10, seed=2)[7]
    assert all(torch.equal(one[name], longer[name]) for name in one)
    assert not torch.equal(one["signal"], other["signal"])


def plan_of(lengths, n_examples, part_size, *, windows="random", seed=1):
    """Plan with text; frame t of scan k is the number 1000 k + t."""
    mask = torch.ones(1, dtype=torch.bool)
    scans = [
        NormalisedScan(f"s{k}", torch.arange(float(n))[:, None] + 1000 * k, mask, k)
        for k, n in enumerate(lengths)
    ]
    draws = TextDraws(torch.arange(50), 4)
    return TrainingWindowDataset(
        scans, TimeSeriesProcessor(20), n_examples, seed=seed, windows=windows, region_dropout=0.0,
        text=draws, part_size=part_size,
    )  # fmt: skip


def test_with_text_a_part_has_whole_scans_whose_windows_spread_over_them():
    lengths = [20, 45, 60, 81, 100, 59]
    plan = plan_of(lengths, 40 * 12, 12)
    for part in range(40):
        items = [plan[part * 12 + k] for k in range(12)]
        by_scan = {}
        for item in items:
            start = int(item["signal"][0, 0])
            scan = int(item["scans"])
            assert 0 <= start - 1000 * scan <= lengths[scan] - 20
            by_scan.setdefault(scan, []).append(start - 1000 * scan)
        assert len(by_scan) >= 2
        for scan, starts in by_scan.items():
            assert len(starts) >= -(-lengths[scan] // 20)
            n_starts = lengths[scan] - 19
            stretches = [k * n_starts // len(starts) for k in range(len(starts) + 1)]
            places = [sum(s >= edge for edge in stretches[1:]) for s in starts]
            assert n_starts < len(starts) or places == list(range(len(starts)))
    assert {int(plan[k]["scans"]) for k in range(480)} == set(range(6))


def test_with_text_a_scan_of_more_windows_than_half_a_part_leaves_room_for_another():
    plan = plan_of([400, 400, 400], 8 * 4, 4)
    for part in range(8):
        scans = [int(plan[part * 4 + k]["scans"]) for k in range(4)]
        assert sorted(scans.count(s) for s in set(scans)) == [2, 2]


def test_with_text_the_listed_windows_of_a_scan_stand_side_by_side():
    plan = plan_of([60, 60, 60], 18, 6, windows="all")
    starts = [int(plan[k]["signal"][0, 0]) for k in range(18)]
    for k in range(0, 18, 3):
        assert [s - starts[k] for s in starts[k : k + 3]] == [0, 20, 40]
    assert sorted(starts[:9]) == sorted(starts[9:])


def test_a_run_killed_in_its_middle_resumes_to_the_same_bytes(tmp_path, fitted, cohort_dir, text):
    inputs = [cohort_dir, tmp_path, text.descriptors_dir, text.corpus, text.language_model]
    code = KILLED_RUN.format(settings=SETTINGS)
    command = [sys.executable, "-c", code, *map(str, inputs)]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert not (tmp_path / "config.json").exists()
    checkpoints = tmp_path / "checkpoints"
    (checkpoints / "checkpoint-4").rename(checkpoints / "unfinished")
    fit_tokenizer(cohort_dir, tmp_path, SETTINGS, seed=7, text=text)
    assert (tmp_path / "checkpoints" / "checkpoint-6").is_dir()
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (fitted / name).read_bytes(), name


@pytest.fixture(scope="module")
def stopped(tmp_path_factory, cohort_dir, text):
    """Folder of a run that was stopped after its first checkpoint."""
    directory = tmp_path_factory.mktemp("stopped")

    def progress(done, _total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_tokenizer(cohort_dir, directory, SETTINGS, seed=7, text=text, progress=progress)
    return directory


OTHER_RUNS = {
    "cohort": "cohort [0-9a-f]{16}",
    "captions": "captions [0-9a-f]{16}",
    "corpus": "text [0-9a-f]{16}",
    "language model": "language model [0-9a-f]{16}",
    "weight": r"settings of the stage.domain_weight 0.5 \(here 0.25\)",
    "width": r"configuration.attention joint \(here factorised\)|settings of the stage.attention",
}


@pytest.mark.parametrize("other", OTHER_RUNS)
def test_a_stopped_fit_does_not_resume_with_another_part(
    tmp_path, stopped, cohort_dir, text, write_cohort, other
):
    settings, cohort = SETTINGS, cohort_dir
    if other == "cohort":
        cohort = write_cohort(tmp_path / "cohort", validation_seed=60)
    elif other == "captions":
        lines = (text.descriptors_dir / "captions.jsonl").read_text().replace("calm", "many")
        (tmp_path / "captions.jsonl").write_text(lines)
        text = replace(text, descriptors_dir=tmp_path)
    elif other == "corpus":
        (tmp_path / "corpus.txt").write_text(text.corpus.read_text() + "moods")
        text = replace(text, corpus=tmp_path / "corpus.txt")
    elif other == "language model":
        folder = shutil.copytree(text.language_model, tmp_path / "model")
        config = (folder / "config.json").read_text()
        (folder / "config.json").write_text(config.replace('"silu"', '"gelu"'))
        text = replace(text, language_model=folder)
    elif other == "weight":
        settings = replace(SETTINGS, domain_weight=0.25)
    else:
        settings = replace(SETTINGS, attention="factorised")
    with pytest.raises(InputError, match=f"checkpoint-2: written with .*{OTHER_RUNS[other]}"):
        fit_tokenizer(cohort, stopped, settings, seed=7, text=text)


def test_held_out_scans_change_nothing_that_is_fitted(tmp_path, fitted, write_cohort, text):
    (tmp_path / "cohort").mkdir()
    (tmp_path / "tokenizer").mkdir()
    cohort = write_cohort(tmp_path / "cohort", test_seed=70)
    fit_tokenizer(cohort, tmp_path / "tokenizer", SETTINGS, seed=7, text=text)
    for name in ("config.json", "losses.csv", "model.safetensors"):
        assert (tmp_path / "tokenizer" / name).read_bytes() == (fitted / name).read_bytes()
    for name in ("quality.json", "reconstruction.npz"):
        assert (tmp_path / "tokenizer" / name).read_bytes() != (fitted / name).read_bytes()


def test_the_artefacts_say_what_the_formats_page_says(fitted):
    config = json.loads((fitted / "config.json").read_text())
    assert config["order_hash"] == "six-hash"
    assert config["text_space"] == {"name": "tiny", "width": 16}
    assert set(config["processor"]["site_scale"]) == {"a", "b"}
    assert config["processor"]["n_scans"] == 4
    quality = json.loads((fitted / "quality.json").read_text())
    assert set(quality) == {"train", "validation", "test"}
    assert quality["train"]["n_windows"] == 16
    assert quality["train"]["codes_used"] <= quality["train"]["codebook_size"] == 32
    names = {(record.split, record.name) for record in read_losses(fitted / "losses.csv")}
    losses = ("reconstruction", "commitment", "domain", "contrastive", "total")
    metrics = (
        "normalised_mse", "perplexity", "codes_used", "dead_codes", "domain_chance",
        "contrastive_chance",
    )  # fmt: skip
    splits = ("train", "validation")
    retrieval = {("validation", f"retrieval_{name}") for name in ("top1", "chance")}
    assert names == {(split, name) for split in splits for name in losses + metrics} | retrieval


def test_the_last_validation_measures_what_the_written_tokenizer_does(fitted):
    quality = json.loads((fitted / "quality.json").read_text())["validation"]
    records = read_losses(fitted / "losses.csv")
    last = {r.name: r.value for r in records if r[:2] == (6, "validation")}
    assert last["normalised_mse"] == pytest.approx(quality["normalised_mse"], rel=1e-5)
    for name in ("perplexity", "codes_used", "dead_codes", "retrieval_top1", "retrieval_chance"):
        assert last[name] == pytest.approx(quality[name]), name


def test_metrics_are_in_no_total(fitted):
    records = {r[:3]: r.value for r in read_losses(fitted / "losses.csv")}
    losses = {"reconstruction": 1, "commitment": 1, "contrastive": 1, "domain": 0.5}
    for step in (2, 4, 6):
        parts = [weight * records[step, "train", name] for name, weight in losses.items()]
        assert records[step, "train", "total"] == pytest.approx(sum(parts), rel=1e-5)


def test_mixed_precision_leaves_the_quantizer_in_full(tmp_path, cohort_dir, monkeypatch):
    seen = []
    update = VectorQuantizer.update

    def watched(self, x, codes):
        seen.append((x.dtype, self.codebook.dtype))
        update(self, x, codes)

    monkeypatch.setattr(VectorQuantizer, "update", watched)
    loop = LoopSettings(steps=2, batch_size=2, precision="bfloat16")
    settings = replace(SETTINGS, training=loop)
    fit_tokenizer(cohort_dir, tmp_path, settings, seed=0)
    assert seen == 2 * [(torch.float32, torch.float32)]
    records = read_losses(tmp_path / "losses.csv")
    assert all(np.isfinite(record.value) for record in records)


@pytest.mark.parametrize(("windows", "starts"), [("all", {0, 20, 40}), ("clip", {0})])
def test_listed_windows_come_each_once_before_any_comes_again(windows, starts):
    frames = torch.arange(70.0)[:, None]
    mask = torch.ones(1, dtype=torch.bool)
    scans = [NormalisedScan(f"s{k}", frames + 100 * k, mask, k) for k in range(3)]
    n = 3 * len(starts)

    def firsts(seed):
        plan = TrainingWindowDataset(
            scans, TimeSeriesProcessor(20), 3 * n, seed=seed, windows=windows, region_dropout=0.0,
            text=None,
        )  # fmt: skip
        return [int(plan[i]["signal"][0]) for i in range(3 * n)]

    one = firsts(1)
    rounds = [one[k : k + n] for k in range(0, 3 * n, n)]
    expected = sorted(100 * k + start for k in range(3) for start in starts)
    assert all(sorted(each) == expected for each in rounds)
    assert rounds[0] != rounds[1] or rounds[1] != rounds[2]
    assert one == firsts(1)


def test_positions_and_a_codebook_that_learns_by_gradient_do_not_shrink():
    objective = make_objective()
    objective.tokenizer.quantizer = VectorQuantizer(16, 4, update="gradient")
    spared = {
        f"{prefix}.{name}"
        for prefix, module in objective.named_modules()
        for name in getattr(module, "no_weight_decay", ())
    }
    assert "tokenizer.quantizer.codebook" in spared
    assert {f"tokenizer.{half}.positions.step" for half in ("encoder", "decoder")} <= spared
    assert spared <= {name for name, _ in objective.named_parameters()}


def test_the_written_example_is_what_the_tokenizer_makes_of_its_window(fitted):
    tokenizer = FMRITokenizer.from_pretrained(fitted)
    with np.load(fitted / "reconstruction.npz") as example:
        assert str(example["scan_id"]) == "test-0"
        assert example["labels"].tolist() == [f"region {n}" for n in range(N_REGIONS)]
        assert example["tr"] == 2.0
        window = torch.from_numpy(example["signal"])
        present = window.any(dim=0)
        assert present.tolist() == [True, False, True, True, True, True]
        again = tokenizer(window[None], present).signal[0]
        assert torch.allclose(again, torch.from_numpy(example["reconstruction"]), atol=1e-5)


def test_training_contrasts_and_pools_as_the_settings_say(tmp_path, cohort_dir, text):
    from datasets import Dataset
    from safetensors.torch import load_file

    corpus = Dataset.from_dict({"body": ["the brain has many moods"] * 9})
    corpus.to_json(tmp_path / "corpus.jsonl")
    chosen = replace(
        SETTINGS, contrast="siglip", pooling="attention", windows="clip", text_column="body",
        corpus_limit=20,
    )  # fmt: skip
    source = replace(text, corpus=tmp_path / "corpus.jsonl")
    fit_tokenizer(cohort_dir, tmp_path, chosen, seed=7, text=source)
    weights = load_file(tmp_path / "checkpoints" / "checkpoint-6" / "model.safetensors")
    assert weights["alignment.contrast.bias"] != -10.0
    assert weights["alignment.pooling.query"].abs().max() > 0
    quality = json.loads((tmp_path / "quality.json").read_text())
    assert quality["train"]["n_windows"] == 4
    assert json.loads((tmp_path / "config.json").read_text())["processor"]["windows"] == "clip"


def test_losses_of_relations_train_as_the_settings_say_and_leave_nothing_in_the_tokenizer(
    tmp_path, fitted, cohort_dir, text
):
    import pandas as pd
    from safetensors.torch import load_file

    shutil.copy(text.descriptors_dir / "captions.jsonl", tmp_path)
    # Test scans have no z-scores: nothing is read about them.
    ids = [*Cohort(cohort_dir).scan_ids("train"), *Cohort(cohort_dir).scan_ids("validation")]
    zscores = pd.DataFrame({"fc.a": [1.0, 0.0, -1.0, 2.0, 1.0]}, pd.Index(ids, name="scan_id"))
    zscores.to_parquet(tmp_path / "zscores.parquet")
    chosen = replace(SETTINGS, pooling="relations", coupling_weight=0.5, readout_weight=2.0)
    source = replace(text, descriptors_dir=tmp_path)
    fit_tokenizer(cohort_dir, tmp_path, chosen, seed=7, text=source)
    last = {r[1:3]: r.value for r in read_losses(tmp_path / "losses.csv") if r.step == 6}
    weights = {
        "reconstruction": 1, "commitment": 1, "contrastive": 1, "domain": 0.5, "coupling": 0.5,
        "readout": 2,
    }  # fmt: skip
    for split in ("train", "validation"):
        parts = [weight * last[split, name] for name, weight in weights.items()]
        assert last[split, "total"] == pytest.approx(sum(parts), rel=1e-5)
    checkpoint = load_file(tmp_path / "checkpoints" / "checkpoint-6" / "model.safetensors")
    assert checkpoint["alignment.pooling.map.weight"].abs().max() > 0
    assert checkpoint["readout.linear.weight"].abs().max() > 0
    written = [load_file(d / "model.safetensors") for d in (fitted, tmp_path)]
    assert set(written[0]) == set(written[1])


def test_a_read_out_without_descriptors_is_refused(tmp_path, cohort_dir):
    settings = replace(SETTINGS, readout_weight=0.1)
    with pytest.raises(
        InputError, match=r"readout_weight: 0.1, but there are no descriptors; give"
    ):
        fit_tokenizer(cohort_dir, tmp_path, settings, seed=0)


def test_training_needs_no_text(tmp_path, cohort_dir):
    settings = FitTokenizerSettings(
        n_frames=48, patch_frames=16, n_codes=32, training=LoopSettings(steps=2, batch_size=2)
    )
    summary = fit_tokenizer(cohort_dir, tmp_path, settings, seed=0)
    assert FMRITokenizer.from_pretrained(tmp_path).to_text is None
    assert summary.startswith("3 x 6 codes of 32 a window; test: normalised MSE")


def write_captions(directory, rows):
    directory.mkdir(exist_ok=True)
    (directory / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return directory


def test_captions_are_joined_by_scan_and_not_by_row(descriptors_dir):
    assert read_sentences(descriptors_dir, ["train-2", "train-0"]) == [
        {"all": ["the regions are slow ."]},
        {"all": ["the regions are calm ."]},
    ]


def test_the_sentences_of_each_domain_are_read_and_rewritten_ones_replace_them(tmp_path):
    listed = [{"text": t, "standalone": t == "so it is."} for t in ("so it is.", "It is odd.")]
    rows = [
        {"scan_id": "a", "domain": "ICA", "text": "New. It is so.", "source": "rewritten"},
        {"scan_id": "a", "domain": "ICA", "text": "Old.", "source": "template"},
        {"scan_id": "a", "domain": "graph", "text": "so it is. It is odd.", "sentences": listed},
        {"scan_id": "a", "domain": "all", "text": "Nor this."},
        {"scan_id": "a", "domain": "FC", "text": ""},
    ]
    assert read_sentences(write_captions(tmp_path, rows), ["a"]) == [
        {"ICA": ["New.", "It is so."], "graph": ["so it is.", "It is odd."]}
    ]


DOMAIN_TEXTS = {"FC": "the brain", "ICA": "the regions have many moods", "graph": "many many"}


def targets(language_model, captions, n_training):
    is_training = [k < n_training for k in range(len(captions))]
    return caption_targets(language_model, captions, is_training, 4)


@pytest.mark.parametrize("domain", DOMAIN_TEXTS)
def test_the_words_of_every_domain_move_the_target_of_their_scan_alone(language_model, domain):
    captions = [{d: [text] for d, text in DOMAIN_TEXTS.items()} for _ in range(3)]
    before = targets(language_model, captions, 3)
    captions[1][domain] = ["the moods have regions and the brain has regions"]
    after = targets(language_model, captions, 3)
    moved = (after.features - before.features).abs().amax(dim=1)
    assert (moved > 1e-4).tolist() == [False, True, False]


def test_the_domains_weigh_alike_however_long_their_paragraphs(language_model):
    captions = [{d: [text] for d, text in DOMAIN_TEXTS.items()}]
    found = targets(language_model, captions, 1)
    alone = text_features(language_model, list(DOMAIN_TEXTS.values()), 4)
    assert torch.allclose(found.features[0], alone.mean(dim=0), atol=1e-6)


def test_the_centre_of_the_captions_is_that_of_the_training_scans(language_model):
    captions = [
        {"FC": ["the brain"]}, {"FC": ["many moods"]}, {"FC": ["the regions have many regions"]}
    ]  # fmt: skip
    found = targets(language_model, captions, 2)
    expected = text_features(language_model, ["the brain", "many moods"], 4).mean(dim=0)
    assert torch.allclose(found.center, expected, atol=1e-6)
    assert not torch.allclose(found.center, found.features.mean(dim=0), atol=1e-3)


def test_a_domain_that_a_scan_lacks_moves_it_neither_way(language_model):
    captions = [
        {"FC": ["the brain"], "ICA": ["many moods"]},
        {"FC": ["many regions"], "ICA": ["the moods"]},
        {"FC": ["the brain"], "graph": ["the brain has", "moods"]},
    ]
    found = targets(language_model, captions, 2)
    by_domain = text_features(language_model, ["the brain", "many regions"], 4)
    difference = found.features[2] - found.center
    assert torch.allclose(difference, (by_domain[0] - by_domain.mean(dim=0)) / 2, atol=1e-6)
    assert found.counts.domains == {"FC": 3, "ICA": 2}
    assert (found.counts.sentences, found.counts.sentences_left_out) == (5, 2)
    assert str(found.counts) == "captions: 5 sentences (FC, ICA), 2 left out"


def test_the_caption_of_a_held_out_scan_changes_nothing_that_is_fitted(
    tmp_path, fitted, cohort_dir, text
):
    lines = (text.descriptors_dir / "captions.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    for row in rows:
        if row["scan_id"] == "validation-0":
            row["text"] = "the brain has many many moods"
    source = replace(text, descriptors_dir=write_captions(tmp_path / "other", rows))
    (tmp_path / "tokenizer").mkdir()
    fit_tokenizer(cohort_dir, tmp_path / "tokenizer", SETTINGS, seed=7, text=source)
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "tokenizer" / name).read_bytes() == (fitted / name).read_bytes(), name
    losses = [read_losses(folder / "losses.csv") for folder in (fitted, tmp_path / "tokenizer")]
    assert [r for r in losses[0] if r.split == "train"] == [
        r for r in losses[1] if r.split == "train"
    ]


def test_a_scan_without_a_caption_is_named(descriptors_dir):
    with pytest.raises(InputError, match=r"captions\.jsonl: no caption of scan elsewhere"):
        read_sentences(descriptors_dir, ["elsewhere"])


def test_a_cohort_of_a_newer_schema_is_refused(tmp_path, write_cohort):
    with pytest.raises(InputError, match=r"cohort\.json: schema 2, but this version reads up to 1"):
        Cohort(write_cohort(tmp_path, schema=2))


def test_a_folder_that_is_no_cohort_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no cohort.json; give the folder"):
        Cohort(tmp_path)


def test_the_codebook_starts_from_every_training_scan_and_no_other(
    tmp_path, cohort_dir, monkeypatch
):
    started = []

    def initialise(self, samples, generator):
        started.append(samples)
        return kept(self, samples, generator)

    kept = VectorQuantizer.initialise
    monkeypatch.setattr(VectorQuantizer, "initialise", initialise)
    loop = LoopSettings(steps=1, batch_size=2)
    settings = FitTokenizerSettings(
        n_frames=48, patch_frames=16, n_codes=32, start_stride=16, training=loop
    )
    fit_tokenizer(cohort_dir, tmp_path, settings, seed=0)
    # Four scans of 160 frames: windows start at 0, 16, ..., 112; three steps of six tokens each.
    (samples,) = started
    assert samples.shape == (4 * 8 * 3, N_REGIONS, 16)
    by_scan = samples.unflatten(0, (4, -1))
    assert len({tuple(scan.abs().sum(dim=(0, 1)).tolist()) for scan in by_scan}) == 4


@pytest.mark.parametrize(
    ("quantizer", "settings"),
    [
        ("fsq", {"levels": (4, 4, 2)}),
        ("residual", {"stages": (8, 4)}),
        ("trellis", {"state_bits": 5, "classes": 4}),
    ],
)
def test_a_tokenizer_is_fitted_with_the_quantizer_that_the_settings_choose(
    tmp_path, cohort_dir, quantizer, settings
):
    loop = LoopSettings(steps=2, batch_size=2)
    kind = quantizers.SETTINGS[quantizer]
    chosen = FitTokenizerSettings(
        n_frames=48, patch_frames=16, n_codes=32, quantizer=quantizer, training=loop,
        **{quantizer: kind(**settings)},
    )  # fmt: skip
    fit_tokenizer(cohort_dir, tmp_path, chosen, seed=0)
    tokenizer = FMRITokenizer.from_pretrained(tmp_path)
    assert getattr(tokenizer.config, quantizer) == kind(**settings)
    quality = json.loads((tmp_path / "quality.json").read_text())["train"]
    assert 1 < quality["perplexity"] <= quality["codes_used"] == 32 - quality["dead_codes"]
