import json
import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from fmri_descriptors import (
    CohortNorms,
    CohortSettings,
    DescribeSettings,
    FeatureExtractor,
    FeatureSettings,
    InputError,
    caption,
    describe,
    describe_cohort,
    open_source,
    read_cohort,
    write_cohort,
)
from fmri_descriptors.cohort.splits import SPLITS
from fmri_descriptors.registry import DESCRIPTORS, feature_columns
from fmri_descriptors.text.captions import describe_features, paragraphs
from fmri_descriptors.text.render import discourse_relation, load_templates, most_unusual_direction
from fmri_descriptors.text.wording import level_word

QUICK = DescribeSettings(features=FeatureSettings(louvain_runs=1, ica_components=9))


@pytest.fixture(scope="module")
def descriptors(described_dir):
    return pd.read_parquet(described_dir / "descriptors.parquet")


@pytest.fixture(scope="module")
def captions(described_dir):
    lines = (described_dir / "captions.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_every_scan_has_the_23_descriptors(descriptors):
    counts = descriptors.groupby("scan_id")["name"].agg(list)
    assert len(counts) == 12
    assert all(names == [row.name for row in DESCRIPTORS] for names in counts)


def test_features_and_z_scores_share_their_rows_columns_and_splits(described_dir, aal2):
    features, z = (
        pd.read_parquet(described_dir / f"{name}.parquet") for name in ("features", "zscores")
    )
    assert features.index.name == z.index.name == "scan_id"
    assert list(features) == list(z) == [*feature_columns(aal2), "split"]
    assert features["split"].equals(z["split"])
    assert features["split"].value_counts().to_dict() == {"train": 7, "test": 4, "validation": 1}


def test_features_of_real_scans_are_complete_but_for_networks_without_a_component(described_dir):
    features = pd.read_parquet(described_dir / "features.parquet").drop(columns="split")
    extractor = FeatureExtractor.load(described_dir)
    lost = list(extractor.reasons_)
    assert len(extractor.group_maps_.without) < 4
    assert features[lost].isna().all(axis=None)
    assert features.drop(columns=lost).notna().all(axis=None)


def test_z_scores_of_a_training_scan_are_from_the_other_training_scans(described_dir):
    features, z = (
        pd.read_parquet(described_dir / f"{name}.parquet") for name in ("features", "zscores")
    )
    rows = features.index[features["split"] == "train"]
    values = features.drop(columns="split")
    for scan_id in rows:
        others = values.loc[rows.drop(scan_id)]
        expected = (values.loc[scan_id] - others.mean()) / others.std(ddof=1)
        got = z.loc[scan_id].drop("split").astype(float)
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-9)
    new = features.index[features["split"] != "train"]
    trained = values.loc[rows]
    expected = (values.loc[new] - trained.mean()) / trained.std(ddof=1)
    np.testing.assert_allclose(z.loc[new].drop(columns="split"), expected, rtol=1e-6, atol=1e-9)


def test_norms_and_extractor_name_the_training_scans_only(described_dir, cohort_dir):
    training = sorted(scan.scan_id for scan in read_cohort(cohort_dir).scans("train"))
    for name in ("norms.json", "extractor.json"):
        assert json.loads((described_dir / name).read_text())["fitted_on"] == training


def test_stored_words_follow_from_the_stored_z(descriptors):
    for text in descriptors["values"]:
        for value in json.loads(text):
            z = float("nan") if value["z"] is None else value["z"]
            assert value["level_word"] == level_word(z)


def test_stored_values_are_those_of_the_tables_of_the_same_scan(described_dir, descriptors):
    features = pd.read_parquet(described_dir / "features.parquet")
    z = pd.read_parquet(described_dir / "zscores.parquet")
    for row in descriptors.itertuples():
        for value in json.loads(row.values):
            expected = [table.loc[row.scan_id, value["feature"]] for table in (features, z)]
            expected = [None if np.isnan(number) else number for number in expected]
            assert [value["value"], value["z"]] == expected


def test_sentences_stay_short_enough_for_a_small_language_model(captions):
    lengths = [len(s["text"].split()) for line in captions for s in line["sentences"]]
    assert max(lengths) <= 45
    assert np.quantile(lengths, 0.95) <= 38


def test_nearly_every_sentence_stands_alone(captions):
    alone = [s["standalone"] for line in captions for s in line["sentences"]]
    assert np.mean(alone) > 0.95


def test_captions_cover_all_and_each_domain_of_every_scan(captions):
    keys = [(line["scan_id"], line["domain"]) for line in captions]
    assert len(keys) == len(set(keys)) == 12 * 5
    assert {line["source"] for line in captions} == {"template"}


def plain(text):
    """A text without the words that a caption may put before it."""
    words = "likewise|similarly|by contrast|conversely"
    return re.sub(rf"\b(?:{words}), ", "", text, flags=re.IGNORECASE).lower()


def without_gaps(text):
    """A text without what is not available: captions tell it of several descriptors at once."""
    return [s for s in re.split(r"(?<=\.) ", text) if "not available" not in s]


def test_what_several_descriptors_lack_is_told_once_a_paragraph(aal2):
    features, z = table_of(aal2, 1)
    missing = [f"ica.{name}.Visual" for name in ("amplitude", "variability", "falff")]
    features[missing] = z[missing] = np.nan
    reasons = dict.fromkeys(missing, "no component stands for it")
    described = describe_features(features.iloc[0], z.iloc[0], aal2, reasons=reasons)
    for form in ("long", "short"):
        gaps = [s for p in paragraphs(described, form) for s in p if "not available" in s.text]
        (gap,) = gaps
        assert gap.standalone
        assert gap.text == (
            "The component amplitude, variability over time and fALFF are not available in the "
            "Visual network because no component stands for it."
        )
    assert sum("not available" in d.text for d in described) == 3


def test_a_domain_caption_holds_every_text_of_that_domain(captions, descriptors):
    for line in captions:
        if line["domain"] != "all":
            mine = descriptors[
                (descriptors["scan_id"] == line["scan_id"])
                & (descriptors["domain"] == line["domain"])
            ]
            told = " ".join(sentence["text"] for sentence in line["sentences"][1:])
            assert without_gaps(plain(told)) == without_gaps(" ".join(mine["text"]).lower())
            assert "training subjects" in line["sentences"][0]["text"]


@pytest.mark.parametrize("split", ["train", "test"])
def test_describing_one_scan_gives_what_the_cohort_was_given(
    described_dir, cohort_dir, descriptors, split
):
    scan = next(read_cohort(cohort_dir).scans(split))
    extractor = FeatureExtractor.load(described_dir)
    norms = CohortNorms.load(described_dir / "norms.json")
    expected = descriptors[descriptors["scan_id"] == scan.scan_id]["text"].tolist()
    assert [d.text for d in describe(scan, extractor, norms)] == expected


def test_describing_one_scan_against_norms_by_site_gives_what_the_site_gives(
    described_dir, cohort_dir
):
    features = pd.read_parquet(described_dir / "features.parquet").drop(columns="split")
    scans = {s.scan_id: s for split in SPLITS for s in read_cohort(cohort_dir).scans(split)}
    sites = {scan_id: scan.site for scan_id, scan in scans.items()}
    norms = CohortNorms(site_aware=True, min_site_scans=5).fit(features, sites=sites)
    extractor = FeatureExtractor.load(described_dir)
    scan = scans["102816"]
    described = describe(scan, extractor, norms)
    assert {d.norms for d in described} == {scan.site}
    z = norms.transform(features, sites, leave_out=True).loc["102816"]
    assert [d.text for d in described] == [
        d.text
        for d in describe_features(
            features.loc["102816"], z, extractor.parcellation_, reasons=extractor.reasons_
        )
    ]
    unseen = describe(replace(scan, site="elsewhere"), extractor, norms)
    assert {d.norms for d in unseen} == {"pooled"}
    assert [d.text for d in unseen] != [d.text for d in described]


def table_of(aal2, n_scans, seed=0):
    """Made-up features and z-scores."""
    rng = np.random.default_rng(seed)
    index = [f"scan-{i}" for i in range(n_scans)]
    features, z = (
        pd.DataFrame(rng.normal(size=(n_scans, 165)), index, feature_columns(aal2))
        for _ in range(2)
    )
    return features, z


def texts_of(features, z, aal2, **options):
    return {
        scan_id: [
            d.text
            for d in describe_features(features.loc[scan_id], z.loc[scan_id], aal2, **options)
        ]
        for scan_id in features.index
    }


def test_adding_a_scan_changes_no_other_scans_text(aal2):
    features, z = table_of(aal2, 6)
    few = texts_of(features[1:4][::-1], z[1:4][::-1], aal2)
    every = texts_of(features, z, aal2)
    assert few == {scan_id: every[scan_id] for scan_id in few}


def test_scans_and_seeds_get_different_phrasings_of_the_same_numbers(aal2):
    features, z = table_of(aal2, 1)
    twin = {"features": features.set_axis(["twin"]), "z": z.set_axis(["twin"])}
    (text,) = texts_of(features, z, aal2).values()
    (again,) = texts_of(**twin, aal2=aal2).values()
    (other_seed,) = texts_of(features, z, aal2, seed=1).values()
    for changed in (again, other_seed):
        assert 5 < sum(a != b for a, b in zip(text, changed, strict=True)) <= 23
        for a, b in zip(text, changed, strict=True):
            assert sorted(re.findall(r"-?\d+\.\d+", a)) == sorted(re.findall(r"-?\d+\.\d+", b))


def test_opening_words_and_first_phrasings_vary_apart(aal2):
    features, z = table_of(aal2, 1)
    seen = set()
    for seed in range(60):
        descriptors = describe_features(features.iloc[0], z.iloc[0], aal2, seed=seed)
        ((opening, *_),) = paragraphs([d for d in descriptors if d.domain == "graph"])
        seen.add((opening.text, descriptors[-4].text))
    assert len(seen) == 9


def test_connecting_words_join_only_what_measures_the_same_and_say_how_it_relates(aal2):
    features, z = table_of(aal2, 16)
    seen = set()
    for scan_id in features.index:
        descriptors = describe_features(features.loc[scan_id], 2 * z.loc[scan_id], aal2)
        text = caption(descriptors)
        for before, now in pairwise(descriptors):
            told = now.text[0].lower() + now.text[1:]
            found = re.search(rf"(\w[\w ]*), {re.escape(told)}", text)
            if found is None:
                continue
            assert now.name == before.name.replace("range", "variance")
            words = found[1].lower()
            how = discourse_relation(
                most_unusual_direction(before.values), most_unusual_direction(now.values)
            )
            assert how == ("same" if words in {"likewise", "similarly"} else "opposite")
            seen.add(words)
    assert seen == {"likewise", "similarly", "by contrast", "conversely"}


def test_a_short_caption_names_what_is_above_and_what_is_below(aal2):
    features, z = table_of(aal2, 1)
    z[:] = 0.0
    z["ica.falff.Visual"], z["ica.falff.Parietal"], z["ica.falff.Temporal"] = 2.5, -1.5, 1.2
    text = caption(describe_features(features.iloc[0], z.iloc[0], aal2), "short")
    for words in ("Visual network (", "Parietal network ("):
        (told,) = (s for s in re.split(r"(?<=\.) ", text) if words in s and "z 0.00" not in s)
        assert re.search("above|below", told, re.IGNORECASE)


def test_a_reason_reaches_every_descriptor_of_its_columns(aal2):
    features, z = table_of(aal2, 1)
    missing = [c for c in features if "falff" in c or "spectral_ratio" in c]
    features[missing] = z[missing] = np.nan
    stems = ("ica.falff", "ica.spectral_ratio", "ica.overall_spectral_ratio")
    reasons = dict.fromkeys(stems, "the recording was band-passed before")
    described = describe_features(features.iloc[0], z.iloc[0], aal2, reasons=reasons)
    told = [d.text for d in described if "because" in d.text]
    assert len(told) == 3
    ending = "is not available for this scan because the recording was band-passed before."
    assert all(text.endswith(ending) for text in told)


def test_a_users_templates_go_into_texts_and_captions(aal2, tmp_path):
    (tmp_path / "graph_modularity.jinja").write_text("modules: {{ item.shown }}.")
    templates = load_templates(tmp_path)
    features, z = table_of(aal2, 1)
    descriptors = describe_features(features.iloc[0], z.iloc[0], aal2, templates=templates)
    (mine,) = (d.text for d in descriptors if d.name == "graph_modularity")
    assert mine.startswith("Modules: ")
    assert mine[1:] in caption(descriptors, "short", templates)


def test_a_long_caption_holds_every_text_and_a_short_one_what_is_most_unusual(
    described_dir, cohort_dir
):
    scan = next(read_cohort(cohort_dir).scans("validation"))
    norms = CohortNorms.load(described_dir / "norms.json")
    described = describe(scan, FeatureExtractor.load(described_dir), norms)
    long, short = caption(described), caption(described, "short")
    for text, told in ((long, "sentences"), (short, "short_sentences")):
        whole = [s for d in described for s in getattr(d, told) if "not available" not in s]
        assert all(sentence[1:] in text for sentence in whole)
    assert len(short) < len(long)
    assert long.count("\n") == short.count("\n") == 3


def test_a_short_caption_never_says_the_same_sentence_twice(captions):
    for line in (line for line in captions if line["domain"] == "all"):
        told = [sentence["text"] for sentence in line["sentences"]]
        assert len(told) == len(set(told))


def test_an_unknown_caption_form_is_refused():
    with pytest.raises(InputError, match="caption form: 'tiny'; give 'long' or 'short'"):
        caption([], "tiny")
    with pytest.raises(InputError, match="caption_form: 'tiny'"):
        DescribeSettings(caption_form="tiny")


@pytest.fixture
def small(simulate, table, tmp_path):
    """Describe a simulated cohort; `spoil` changes a subject's file first."""

    def make(name, spoil=None):
        scans = [simulate(seed, n_frames=100) for seed in range(6)]
        path = table(scans)
        if spoil is not None:
            file = tmp_path / f"{spoil}.npy"
            np.save(file, np.load(file)[::-1] * 1.7 + 3)
        cohort, out = tmp_path / f"{name}-cohort", tmp_path / name
        cohort.mkdir()
        out.mkdir()
        settings = CohortSettings(
            parcellation="aal2", test_subjects=("sim-4", "sim-5"), validation_fraction=0
        )
        write_cohort(open_source(str(path)), cohort, settings)
        describe_cohort(cohort, out, QUICK)
        return out

    return make


def test_a_held_out_scan_changes_no_byte_of_what_is_fitted(small):
    plain, spoilt = small("plain"), small("spoilt", spoil="sim-4")
    for name in ("norms.json", "extractor.json", "extractor.npz"):
        assert (plain / name).read_bytes() == (spoilt / name).read_bytes()
    assert (plain / "features.parquet").read_bytes() != (spoilt / "features.parquet").read_bytes()


def test_a_training_scan_does_change_the_norms(small):
    plain, spoilt = small("plain"), small("spoilt", spoil="sim-0")
    assert (plain / "norms.json").read_bytes() != (spoilt / "norms.json").read_bytes()


def test_the_same_cohort_gives_the_same_bytes(small, tree):
    assert tree(small("a")) == tree(small("b"))


def test_no_path_of_this_machine_is_stored(described_dir, tree):
    for content in tree(described_dir).values():
        assert str(described_dir.parent).encode() not in content
